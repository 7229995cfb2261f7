#!/usr/bin/env python3
"""Lists the crates that are linked into ccrun: their licences with all texts, and a CycloneDX document."""

import argparse
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Files with the terms of a crate, or of the C code in it.
TERMS = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)(?!.*\.(pm|rs|c|h|py)$)", re.IGNORECASE)
# Build tools and tests of C code, which are not linked.
UNUSED = {"cmake", "test", "tests", "target", "benches", "fuzz", "node_modules"}

INTRODUCTION = """ccrun is licensed under MIT OR Apache-2.0. It contains the Rust standard library, which is licensed under the same
terms, and the following crates. After the list, the texts of their licences, each once.
"""


def cargo(*words):
    command = [os.environ.get("CARGO", "cargo"), *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(target):
    """The names and versions of the crates in the program: not those that only compile or test it."""
    words = ["--edges", "normal,no-proc-macro", "--target", target, "--prefix", "none", "--format", "{p}"]
    lines = cargo("tree", "--locked", *words).splitlines()
    return sorted({tuple(line.split()[:2]) for line in lines if line})


def metadata(target):
    """The packages by name and version, and what each depends on."""
    found = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    keys = {package["id"]: (package["name"], "v" + package["version"]) for package in found["packages"]}
    packages = {keys[package["id"]]: package for package in found["packages"]}
    edges = {}
    for node in found["resolve"]["nodes"]:
        normal = [d for d in node["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
        edges[keys[node["id"]]] = sorted(keys[dependency["pkg"]] for dependency in normal)
    return packages, edges


def checksums():
    """The SHA-256 of each crate, from the lock file."""
    with open(os.path.join(ROOT, "Cargo.lock"), encoding="utf-8") as file:
        blocks = file.read().split("[[package]]")
    values = [dict(re.findall(r'^(\w+) = "(.*)"$', block, re.MULTILINE)) for block in blocks]
    return {(v["name"], "v" + v["version"]): v["checksum"] for v in values if "checksum" in v}


def expression(package):
    """The licence as SPDX writes it."""
    return re.sub(r"\s*/\s*", " OR ", package["license"] or "")


def texts(package):
    """The licence texts in a crate, by path."""
    top = os.path.dirname(package["manifest_path"])
    found = {}
    for directory, below, files in os.walk(top):
        below[:] = sorted(name for name in below if name.lower() not in UNUSED)
        for name in sorted(filter(TERMS.match, files)):
            path = os.path.join(directory, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                found[os.path.relpath(path, top)] = file.read().strip() + "\n"
    return found


def own_text(package):
    """The standard text, for a crate whose package contains none."""
    choices = re.split(r" OR | AND |[()]", expression(package))
    if "MIT" in choices:
        with open(os.path.join(ROOT, "LICENSE-MIT"), encoding="utf-8") as file:
            text = file.read()
        holders = ", ".join(re.sub(r" *<.*>", "", author) for author in package["authors"])
        holders = holders or f"the authors of {package['name']}"
        return re.sub(r"Copyright \(c\).*", f"Copyright (c) {holders}", text)
    if "Apache-2.0" in choices:
        with open(os.path.join(ROOT, "LICENSE-APACHE"), encoding="utf-8") as file:
            return file.read()
    sys.exit(f"dependencies: {package['name']} contains no licence text, and `{expression(package)}` has none here")


def licences(packages):
    """The list of crates, then every text once, with the crates that have it."""
    lines, users, order = [INTRODUCTION], {}, []
    for (name, version), package in packages:
        lines.append(f"{name} {version[1:]}: {expression(package)}, {package['repository'] or 'no repository'}")
        found = texts(package)
        if not any(os.sep not in path for path in found):
            found[""] = own_text(package)
        for path, text in found.items():
            if text not in users:
                order.append(text)
            users.setdefault(text, []).append(f"{name} {version[1:]}" + (f" ({path})" if os.sep in path else ""))
    for text in order:
        lines.append(f"\n{'-' * 80}\n{', '.join(users[text])}:\n\n{text}")
    return "\n".join(lines)


def component(package, checksum):
    """A crate in CycloneDX."""
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    value = {"type": "library", "bom-ref": purl, "name": package["name"], "version": package["version"]}
    if checksum:
        value["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return value | {"licenses": [{"expression": expression(package)}], "purl": purl}


def tool(text):
    """A program that made this one, given as NAME VERSION."""
    name, _, version = text.partition(" ")
    return {"type": "application", "name": name, "version": version}


def bill(packages, edges, tools):
    """The program, its crates and its compilers as a CycloneDX document. The same of these give the same bytes."""
    known, sums = dict(packages), checksums()
    components = {key: component(package, sums.get(key)) for key, package in packages}
    own = next(key for key in components if key[0] == "ccrun")
    dependencies = [
        {"ref": value["bom-ref"], "dependsOn": [components[to]["bom-ref"] for to in edges[key] if to in known]}
        for key, value in components.items()
    ]
    program = components.pop(own) | {"type": "application"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"tools": {"components": [tool(text) for text in tools]}, "component": program},
        "components": list(components.values()),
        "dependencies": dependencies,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="the target's triple")
    parser.add_argument("--licences", required=True, help="where to write the licences")
    parser.add_argument("--sbom", required=True, help="where to write the CycloneDX document")
    parser.add_argument("--tool", action="append", default=[], help="NAME VERSION of what compiles it; may be repeated")
    given = parser.parse_args()
    packages, edges = metadata(given.target)
    found = [(key, packages[key]) for key in linked(given.target)]
    with open(given.licences, "w", encoding="utf-8") as file:
        file.write(licences([pair for pair in found if pair[0][0] != "ccrun"]))
    with open(given.sbom, "w", encoding="utf-8") as file:
        json.dump(bill(found, edges, given.tool), file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
