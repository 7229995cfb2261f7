// Extracts the types of Claude Code's settings from the client's own program, and asks the client's own reader of
// settings files which wrong values invalidate a whole file and which it tolerates.
//
//     node scripts/client-schema.mjs CLIENT TABLE CASES
//
// CLIENT is the native program of Claude Code. TABLE is the output for ccrun. CASES is the output for its test:
// documents, and whether the client accepts them. The client is not started: its modules are loaded into this process.
import { mkdtempSync, openSync, readSync, fstatSync, writeFileSync, rmSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

const [client, tableFile, casesFile] = process.argv.slice(2);
if (!casesFile) {
  console.error("usage: node scripts/client-schema.mjs CLIENT TABLE CASES");
  process.exit(2);
}

// ---- The modules inside the program, as Bun's compiler appends them.

const MARK = Buffer.from("\n---- Bun! ----\n");
const TRAILER = 32;
const ENTRY = 52;

function modules(path) {
  const file = openSync(path);
  const size = fstatSync(file).size;
  const at = (offset, length) => {
    const bytes = Buffer.alloc(length);
    readSync(file, bytes, 0, length, offset);
    return bytes;
  };
  // Debug information may follow the modules.
  const tail = at(size - (1 << 20), 1 << 20);
  const mark = size - (1 << 20) + tail.lastIndexOf(MARK);
  if (tail.lastIndexOf(MARK) < 0) throw new Error(`${path}: no Bun modules found`);
  const trailer = at(mark - TRAILER, TRAILER);
  const start = mark - TRAILER - Number(trailer.readBigUInt64LE(0));
  const [offset, length] = [trailer.readUInt32LE(8), trailer.readUInt32LE(12)];
  if (length % ENTRY) throw new Error(`${path}: unknown format of Bun's list of modules`);
  const list = at(start + offset, length);
  const found = new Map();
  for (let entry = 0; entry < length; entry += ENTRY) {
    const text = (field) => at(start + list.readUInt32LE(entry + field), list.readUInt32LE(entry + field + 4)).toString();
    const name = text(0);
    if (/\.js$|\/cli$/.test(name)) found.set(basename(name), text(8));
  }
  return found;
}

// Everything specific to Bun is replaced by a stub, because the schema of the settings does not use it.
const SHIM = `import { createRequire } from "node:module";
const real = createRequire(import.meta.url);
const nothing = () => new Proxy(function () {}, {
  get: (_, key) => key === "then" ? undefined : key === Symbol.toPrimitive ? () => "" : nothing(),
  apply: () => nothing(), construct: () => nothing(),
});
globalThis.Bun ??= nothing();
export default (path) => path.startsWith("/$bunfs") ? nothing() : real(path);
`;

function unpack(directory, found) {
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  writeFileSync(join(directory, "shim.js"), SHIM);
  for (const [name, source] of found) {
    const text = source
      .replace(/(from|import)\s*\(?"\/\$bunfs\/root\//g, (match) => match.replace("/$bunfs/root/", "./"))
      .replace(/([;{}])(await )?using ([\w$]+)=/g, "$1const $3=")
      .replaceAll("import.meta.require", "__require");
    writeFileSync(join(directory, name), `import __require from"./shim.js";${text}`);
  }
}

// The two exports that are needed, found by their code, because the names change with every version.
const WHOLE = /[,\s;]([\w$]+)=[\w$]+\(\(\)=>[\w$]+\(\)\.whole\(\)\)/;
const READER = /function ([\w$]+)\([\w$,]+\)\{if\([\w$]+\.trim\(\)===""\)return\{settings:\{\},errors:\[\]/;
const GUARDS = /[,\s;]([\w$]+)=new Set\(\["PreToolUse"(?:,"\w+")+\]\)/;
const UNSCANNED = /[,\s;]([\w$]+)=new Set\(\["mcpServers"(?:,"\w+")+\]\)/;

function exported(found, pattern, alias, also = () => true) {
  for (const [name, source] of found) {
    const match = pattern.exec(source);
    if (match && also(source)) {
      found.set(name, `${source}\nexport{${match[1]} as ${alias}};`);
      return name;
    }
  }
  throw new Error(`${client}: no match for ${pattern}`);
}

// ---- From the client's schema to the table.

const PROBES = [null, true, false, 0, -1, 7, 1.5, 1e9, "", "zzz", "/x", [], ["zzz"], [7], [{}], {}, { zzz: 7 }];

/** Whether ccrun can check a pattern: only classes, counts and alternatives. */
const plain = (pattern) => !/\(\?|\\[^dwsDWS.\/\-]/.test(pattern.source) && !pattern.flags;

let reader;
const takes = (document) => reader(JSON.stringify(document), "settings").settings !== null;

function inner(schema) {
  while (["optional", "nullable", "default", "prefault", "readonly", "nonoptional", "lazy"].includes(schema.type)) {
    schema = schema.innerType;
  }
  return schema;
}

/** A value that a schema accepts. */
function sample(schema) {
  schema = inner(schema);
  switch (schema.type) {
    case "string":
      return sampleOfString(schema);
    case "number":
      return 1;
    case "boolean":
      return true;
    case "null":
      return null;
    case "literal":
      return schema.values[0];
    case "enum":
      return schema.options[0];
    case "array":
      return lengths(schema).min > 0 ? [sample(schema.element)] : [];
    case "tuple":
      return schema.items.map(sample);
    case "record":
      return {};
    case "object": {
      const required = Object.entries(schema.shape).filter(([, field]) => !field.optin);
      return Object.fromEntries(required.map(([key, field]) => [key, sample(field)]));
    }
    case "union":
      return sample(schema.options[0]);
    case "pipe":
      return schema.in.type === "transform" ? sample(schema.out) : sample(schema.in);
    case "intersection":
      return { ...sample(schema.left), ...sample(schema.right) };
    case "catch":
      return sample(schema.innerType);
    default:
      return "x";
  }
}

const SAMPLES = ["x", "/x", "./x", "https://example.com/x", "a/b", "x.example.com", "22:00", "a".repeat(40), "a".repeat(64), "@a/*", "1.0.0"];

function sampleOfString(schema) {
  return SAMPLES.find((text) => schema.safeParse(text).success) ?? "x";
}

function lengths(schema) {
  const rules = (schema.checks ?? []).map(({ rule }) => rule).filter(({ kind }) => kind === "length");
  return { min: Math.max(0, ...rules.map((rule) => rule.minimum)), max: Math.min(Infinity, ...rules.map((rule) => rule.maximum)) };
}

/** Whether all rules of a schema are told by the table. */
let untold = [];

function checked(schema, path, made, told) {
  for (const { rule } of schema.checks ?? []) {
    if (!told(rule)) untold.push(`${path}: ${rule.kind}${rule.format ? ` ${rule.format}` : ""}`);
  }
  return made;
}

function bounds(schema, path) {
  const { min, max } = lengths(schema);
  const made = {};
  if (min > 0) made.min = min;
  if (max < Infinity) made.max = max;
  return checked(schema, path, made, (rule) => rule.kind === "length");
}

/** A type in the table: a name, or an object with one of the names as its first key. */
function convert(schema, path, wrap) {
  const made = convertBare(inner(schema), path, wrap);
  if (made === "any") return made;
  // A value that the client corrects or ignores is not a fault.
  const probes = made.tagged ? [...PROBES, { [made.tagged]: "zzz" }] : PROBES;
  if (isTolerated(made) && probes.every((probe) => takes(wrap(probe)))) return "any";
  const also = probes.filter((probe) => takes(wrap(probe)) && !admits(made, probe)).map((probe) => kindOf(probe, made, takes(wrap("")), takes(wrap([{}]))));
  return also.length ? { union: [made, ...new Map(also.map((type) => [JSON.stringify(type), type])).values()] } : made;
}

/** The type of a value that the client accepts although its schema does not. */
function kindOf(value, made, takesEmpty, takesObjects) {
  if (value === null) return "null";
  if (typeof value === "string") return takesEmpty ? "string" : { string: { pattern: "^[A-Za-z0-9_-]+$" } };
  if (Array.isArray(value)) return { array: { not: takesObjects ? { one: [] } : { record: "any" } } };
  // Only objects without the key that would make the client inspect them.
  const key = made.tagged ?? made.required?.[0];
  if (typeof value === "object") return { object: key ? { [key]: { one: [] } } : {} };
  return typeof value;
}

/** Whether a type in the table accepts a value, by the rules of ccrun. */
function admits(type, value) {
  const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "any") return true;
  if (type === "null") return value === null;
  if (typeof type === "string") return typeof value === type;
  if (type.not) return !admits(type.not, value);
  if (type.one) return type.one.includes(value);
  if (type.string) return typeof value === "string" && fits(type.string, value);
  if (type.number) {
    const { integer, min = -Infinity, max = Infinity, above = -Infinity, below = Infinity } = type.number;
    return typeof value === "number" && (!integer || Number.isInteger(value)) && value >= min && value <= max && value > above && value < below;
  }
  if (type.array) {
    return Array.isArray(value) && value.length >= (type.min ?? 0) && value.length <= (type.max ?? Infinity) && value.every((item) => admits(type.array, item));
  }
  if (type.record) return isRecord && Object.values(value).every((item) => admits(type.record, item));
  if (type.object) {
    const has = (key) => Object.hasOwn(value, key);
    return (
      isRecord &&
      (type.required ?? []).every(has) &&
      Object.entries(value).every(([key, item]) => (type.object[key] === undefined ? !type.closed : admits(type.object[key], item)))
    );
  }
  if (type.union) return type.union.some((option) => admits(option, value));
  return isRecord && typeof value[type.tagged] === "string" && type.by[value[type.tagged]] !== undefined && admits(type.by[value[type.tagged]], value);
}

/** Whether nothing below a type can be at fault. */
function isTolerated(type) {
  if (typeof type === "string") return true;
  if (type.object) return Object.values(type.object).every((field) => field === "any");
  if (type.record) return type.record === "any";
  if (type.array) return type.array === "any" || typeof type.array === "string";
  if (type.tagged) return Object.values(type.by).every(isTolerated);
  return !type.union || type.union.every(isTolerated);
}

function convertBare(schema, path, wrap) {
  switch (schema.type) {
    case "string": {
      const made = bounds({ checks: (schema.checks ?? []).filter(({ rule }) => rule.kind === "length") }, path);
      for (const { rule } of schema.checks ?? []) {
        if (rule.kind === "length") continue;
        else if (rule.kind === "url") made.url = rule.protocol ? String(rule.protocol.source) : "";
        else if (rule.kind === "format" && rule.part !== undefined && rule.format === "starts_with") made.starts = rule.part;
        else if (rule.kind === "format" && rule.pattern && plain(rule.pattern)) made.pattern = rule.pattern.source;
        else untold.push(`${path}: ${rule.kind}${rule.format ? ` ${rule.format}` : ""}`);
      }
      return Object.keys(made).length ? { string: made } : "string";
    }
    case "number": {
      const made = {};
      for (const { rule } of schema.checks ?? []) {
        if (rule.kind === "integer") made.integer = true;
        else if (rule.kind === "above") made[rule.inclusive ? "min" : "above"] = rule.bound;
        else if (rule.kind === "below") made[rule.inclusive ? "max" : "below"] = rule.bound;
        else untold.push(`${path}: ${rule.kind}`);
      }
      return Object.keys(made).length ? { number: made } : "number";
    }
    case "boolean":
    case "null":
      return schema.type;
    case "literal":
      return { one: [...schema.values] };
    case "enum":
      return { one: [...schema.options] };
    case "array": {
      const made = { array: convert(schema.element, `${path}[]`, (value) => wrap([value])) };
      return { ...made, ...bounds(schema, path) };
    }
    case "record":
      return convertRecord(schema, path, wrap);
    case "object":
      return convertObject(schema, path, wrap);
    case "union":
      return convertUnion(schema, path, wrap);
    case "pipe":
      return schema.in.type === "transform" ? rewritten(schema, path, wrap) : convert(schema.in, path, wrap);
    case "catch":
    case "unknown":
    case "any":
    case "custom":
      return "any";
    case "undefined":
    case "never":
      return { one: [] };
    default:
      throw new Error(`${path}: there is no word here for a schema of type \`${schema.type}\``);
  }
}

/**
 * Marketplaces, of which the client leaves out what its schema does not take; but an entry from a kind of source that it
 * does not know stays, and is a fault then.
 */
function convertMarketplaces(schema, path, wrap) {
  const source = inner(inner(schema.valueType).shape.source);
  const kinds = source.options.flatMap((option) => [...inner(option).shape.source.choices]);
  const asked = ["zzz", ...kinds].filter((kind) => !takes(wrap({ key: { source: { source: kind } } })));
  untold.push(`${path}: of the sources ${JSON.stringify(asked)} are at fault`);
  const from = (kind) => ({ object: { source: { object: { source: kind }, required: ["source"] } }, required: ["source"] });
  const known = { union: [{ not: from("string") }, from({ one: kinds })] };
  return { union: [{ record: known }, { not: { record: "any" } }] };
}

function convertRecord(schema, path, wrap) {
  if (["extraKnownMarketplaces", "additionalMarketplaces"].includes(path)) return convertMarketplaces(schema, path, wrap);
  const keys = schema.keyType.choices;
  checked(schema, path, {}, () => false);
  if (keys) {
    // Known keys are tested one by one, and then an unknown key.
    const fields = [...keys].map((key) => [key, convert(schema.valueType, `${path}.${key}`, (value) => wrap({ [key]: value }))]);
    const others = takes(wrap({ zzz: 7 })) ? {} : { closed: true };
    return { object: Object.fromEntries(fields), ...others };
  }
  const key = sampleOfString(inner(schema.keyType));
  return { record: convert(schema.valueType, `${path}.*`, (value) => wrap({ [key]: value })) };
}

function convertObject(schema, path, wrap) {
  checked(schema, path, {}, () => false);
  const base = sample(schema);
  if (!takes(wrap(base))) completed(schema, base, wrap);
  const fields = Object.entries(schema.shape).map(([key, field]) => {
    const type = convert(field, path ? `${path}.${key}` : key, (value) => wrap({ ...base, [key]: value }));
    return [key, type];
  });
  const required = Object.keys(base);
  const made = { object: Object.fromEntries(fields) };
  if (required.length) made.required = required;
  if (schema.others?.type === "never") made.closed = true;
  return made;
}

/** Adds the fields to a sample that only a rule of the object requires. */
function completed(schema, base, wrap) {
  for (const [key, field] of Object.entries(schema.shape)) {
    const bare = inner(field);
    const values = bare.type === "union" ? bare.options.map(sample) : [sample(bare)];
    const value = key in base ? undefined : values.find((value) => takes(wrap({ ...base, [key]: value })));
    if (value !== undefined) return void (base[key] = value);
  }
}

function convertUnion(schema, path, wrap) {
  const all = schema.options.map(inner).filter((option) => option.type !== "undefined");
  // A rule of the enclosing object may exclude some of the options.
  const possible = all.filter((option) => takes(wrap(sample(option))));
  const options = possible.length ? possible : all;
  const isObject = (option) => option.type === "object";
  const tag = schema.discriminator ?? tagOf(options.filter(isObject));
  const convertOption = (option, index) => convertBare(option, `${path}|${index}`, wrap);
  if (!tag) return { union: options.map(convertOption) };
  const tagged = {};
  for (const [index, option] of options.entries()) {
    if (isObject(option)) for (const value of option.shape[tag].choices) tagged[value] = convertOption(option, index);
  }
  const rest = options.filter((option) => !isObject(option));
  const made = { tagged: tag, by: tagged };
  return rest.length ? { union: [made, ...rest.map(convertOption)] } : made;
}

/** A key by whose value objects tell themselves apart. */
function tagOf(options) {
  if (options.length < 2) return undefined;
  return Object.keys(options[0].shape).find((key) => options.every((option) => option.shape[key] && inner(option.shape[key]).type === "literal"));
}

/** What is changed before it is looked at: by what comes of it. */
function rewritten(schema, path, wrap) {
  const made = convert(schema.out, path, wrap);
  if (made === "any") return made;
  const words = [...String(schema.in.change).matchAll(/"([\w.-]+)"/g)].map((match) => match[1]);
  const words_taken = [...new Set(words)].filter((word) => takes(wrap(word)) && !takesAsSuch(schema.out, word));
  const kinds = [];
  if (takes(wrap(true)) && takes(wrap(false)) && !takesAsSuch(schema.out, true)) kinds.push("boolean");
  if (takes(wrap(7)) && takes(wrap(-1.5)) && !takesAsSuch(schema.out, 7)) kinds.push("number");
  if (takes(wrap("zzz")) && !takesAsSuch(schema.out, "zzz")) kinds.push("string");
  if (words_taken.length && !kinds.includes("string")) kinds.push({ one: words_taken });
  untold.push(`${path}: rewritten`);
  return kinds.length ? { union: [made, ...kinds] } : made;
}

const takesAsSuch = (schema, value) => schema.safeParse(value).success;

// ---- Documents for the test: every place in the table with every probe.

function* places(type, path, wrap) {
  yield { path, wrap, type };
  if (typeof type === "string") return;
  if (type.object) {
    const base = Object.fromEntries((type.required ?? []).map((key) => [key, valueOf(type.object[key])]));
    for (const [key, field] of Object.entries(type.object)) yield* places(field, `${path}.${key}`, (value) => wrap({ ...base, [key]: value }));
  } else if (type.array) yield* places(type.array, `${path}[]`, (value) => wrap([value]));
  else if (type.record) yield* places(type.record, `${path}.*`, (value) => wrap({ key: value }));
  else if (type.union) for (const option of type.union) yield* places(option, path, wrap);
  else if (type.tagged) {
    for (const [tag, option] of Object.entries(type.by)) yield* places(option, `${path}<${tag}>`, wrap);
  }
}

/** Some value of a type of ours. */
function valueOf(type) {
  if (type === "any" || type === "string") return "x";
  if (typeof type === "string") return { number: 1, boolean: true, null: null }[type];
  if (type.one) return type.one[0];
  if (type.number) return 1;
  if (type.string) return SAMPLES.find((text) => fits(type.string, text)) ?? "x";
  if (type.array) return type.min ? [valueOf(type.array)] : [];
  if (type.object) return Object.fromEntries((type.required ?? []).map((key) => [key, valueOf(type.object[key])]));
  if (type.tagged) return valueOf(Object.values(type.by)[0]);
  if (type.union) return valueOf(type.union[0]);
  return {};
}

function fits({ min = 0, max = Infinity, pattern, starts = "", url }, text) {
  const isUrl = url === undefined || /^https?:\/\/[^/]/.test(text);
  return text.length >= min && text.length <= max && (!pattern || new RegExp(pattern).test(text)) && text.startsWith(starts) && isUrl;
}

const EDGES = [null, true, 0, -1, 1.5, 7, 1e9, "", "zzz", "22:00", "https://example.com/x", [], [7], ["zzz"], [{}], {}, { zzz: 7 }];

function cases(table) {
  const lines = new Map();
  for (const { wrap, type } of places({ object: table }, "", (value) => value)) {
    for (const value of [...EDGES, valueOf(type), ...(type.one ?? [])]) {
      const document = wrap(value);
      if (document !== null && typeof document === "object" && !Array.isArray(document)) lines.set(JSON.stringify(document), takes(document));
    }
  }
  return lines;
}

/** Of every place two that the client takes and two that it refuses: so many stay in the repository. */
function some(all) {
  const left = new Map();
  const isKept = ([document, taken]) => {
    const place = `${taken} ${document.replace(/:(null|true|[-\d.]+|"[^"]*"|\[[^[{]*\]|\{[^[{]*\})(?=[\]}]*$)/, "")}`;
    left.set(place, (left.get(place) ?? 0) + 1);
    const isAlike = /^\{"(hooks":\{"P(ermissionRequest|reSkill)|(strict|allowed)KnownMarket|allowedMarket)/.test(document);
    return left.get(place) <= 2 && document.length < 140 && !isAlike;
  };
  return [...all].filter(isKept);
}

/** Hooks that can forbid something, where the client does not look for hooks: it refuses the whole file then. */
function strayHooks(guards) {
  const [guard] = guards;
  const matcher = { matcher: "Bash", hooks: [{ type: "command", command: "x" }] };
  const values = [null, [], 7, "x", {}, [7], [matcher], matcher, { x: [matcher] }, { [guard]: [] }, { [guard]: [matcher] }, [{ [guard]: [7] }]];
  const deep = (value, depth) => (depth ? { x: deep(value, depth - 1) } : value);
  const places = [
    (value) => ({ [guard]: value }),
    (value) => ({ zzz: value }),
    (value) => ({ env: value }),
    (value) => ({ enabledPlugins: { x: value } }),
    (value) => ({ Stop: value }),
    (value) => ({ hooks: value }),
    (value) => ({ hooks: { zzz: value } }),
    (value) => ({ hooks: { Stop: value } }),
    (value) => ({ hooks: { Stop: [value] } }),
    (value) => ({ hooks: { Stop: [{ hooks: [value] }] } }),
    (value) => ({ hooks: { [guard]: value } }),
    (value) => ({ zzz: { hooks: value } }),
    (value) => ({ zzz: { hooks: [value] } }),
    ...[1, 2, 3, 4].map((depth) => (value) => ({ zzz: deep(value, depth) })),
  ];
  return places.flatMap((place) => values.map((value) => place(value)));
}

// ---- Main program.

const directory = mkdtempSync(join(tmpdir(), "client-schema-"));
try {
  const found = modules(client);
  const version = /\/\/ Version: ([\d.]+)/.exec([...found.values()].find((source) => source.includes("// Version: ")))?.[1];
  const schemaModule = exported(found, WHOLE, "__whole", (source) => source.includes("JSON Schema reference for Claude Code settings"));
  const readerModule = exported(found, READER, "__reader");
  const guardModule = exported(found, GUARDS, "__guards");
  const unscannedModule = exported(found, UNSCANNED, "__unscanned");
  mkdirSync(directory, { recursive: true });
  unpack(directory, found);
  process.env.HOME = directory;
  process.env.CLAUDE_CONFIG_DIR = join(directory, "claude");
  const load = (name) => import(pathToFileURL(join(directory, name)));
  const { __whole: whole } = await load(schemaModule);
  ({ __reader: reader } = await load(readerModule));
  const { __guards: guards } = await load(guardModule);
  const { __unscanned: unscanned } = await load(unscannedModule);
  const { object } = convertObject(inner(whole()), "", (value) => value);
  // Keys that accept any value need no entry.
  const table = Object.fromEntries(Object.entries(object).filter(([, type]) => type !== "any"));
  const hooks = [table.hooks, ...(table.hooks.union ?? [])].find((type) => type.object);
  const events = Object.keys(hooks.object);
  writeFileSync(
    tableFile,
    `{"version": ${JSON.stringify(version)},\n"guards": ${JSON.stringify([...guards])},\n"unscanned": ${JSON.stringify([...unscanned])},\n"events": ${JSON.stringify(events)},\n` +
      `"keys": {\n${Object.entries(table).map(([key, type]) => `${JSON.stringify(key)}: ${JSON.stringify(type)}`).join(",\n")}\n}}\n`,
  );
  const all = cases(table);
  const wrong = [...all].filter(([document, taken]) => admits({ object: table }, JSON.parse(document)) !== taken);
  const stray = strayHooks(guards).map((document) => [JSON.stringify(document), takes(document)]);
  writeFileSync(casesFile, [...some(all), ...stray].map(([document, taken]) => `${taken ? "+" : "-"} ${document}\n`).join(""));
  const refused = [...all.values()].filter((taken) => !taken).length;
  console.log(`${version}: ${Object.keys(object).length} keys, ${Object.keys(table).length} of them with a type; ${events.length} events`);
  console.log(`${all.size} documents, ${refused} of them rejected by the client`);
  console.log(`${wrong.length} documents judged wrongly by the table:\n  ${wrong.map(([document, taken]) => `${taken ? "+" : "-"} ${document}`).join("\n  ")}`);
  console.log(`rules that the table cannot express:\n  ${[...new Set(untold)].join("\n  ")}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
