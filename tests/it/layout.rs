//! The dependencies of the top-level modules have no cycle, so that each module can be read knowing only those below
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Graph = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn top_level_modules_form_no_cycle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut graph = Graph::new();
    for entry in fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &root, graph.entry(module).or_default());
        }
    }
    assert!(graph.len() > 20, "not all modules were found: {:?}", graph.keys());
    if let Some(cycle) = find_cycle(&graph) {
        let arrow = |pair: &[String]| format!("{} uses {} ({})", pair[0], pair[1], graph[&pair[0]][&pair[1]]);
        let arrows: Vec<_> = cycle.windows(2).map(arrow).collect();
        panic!("the top-level modules form a cycle:\n{}", arrows.join("\n"));
    }
}

#[test]
fn every_folder_module_is_named_mod_rs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut both = Vec::new();
    for base in ["src", "tests"] {
        walk(&root.join(base), &mut |path| {
            if path.with_extension("").is_dir() {
                both.push(path.to_owned());
            }
            let text = fs::read_to_string(path).unwrap();
            assert!(!text.lines().any(|line| line.starts_with("#[path")), "`{}` has a #[path]", path.display());
        });
    }
    assert!(both.is_empty(), "both a file and a folder of the same name: {both:?}");
}

/// Collects which modules the code of a folder uses, each with a file that uses it. Tests may use any module.
fn collect(folder: &Path, root: &Path, uses: &mut BTreeMap<String, String>) {
    let own = folder.strip_prefix(root).unwrap().iter().next().unwrap().to_str().unwrap().to_owned();
    walk(folder, &mut |path| {
        let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
        if relative.contains("test") {
            return;
        }
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for module in used(&code) {
            if module != own {
                uses.entry(module).or_insert_with(|| relative.to_owned());
            }
        }
    });
}

/// The top-level modules in `crate::…` paths.
fn used(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let firsts = match rest.strip_prefix('{') {
            Some(group) => top_level_names(group),
            None => vec![rest.split(|c| !is_name(c)).next().unwrap().to_owned()],
        };
        modules.extend(firsts);
    }
    modules
}

/// The first names in a group of paths: `a` and `b` in `{a::x, b::{y, z}}`.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut name, mut is_first) = (0, Vec::new(), String::new(), true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                is_first = true;
            }
            ':' if depth == 0 => is_first = false,
            c if depth == 0 && is_first && !c.is_whitespace() => name.push(c),
            _ => {}
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path);
        }
    }
}

fn find_cycle(graph: &Graph) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    graph.keys().find_map(|start| follow(start, graph, &mut Vec::new(), &mut done))
}

fn follow(at: &str, graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
    if let Some(begin) = way.iter().position(|module| module == at) {
        let mut cycle = way[begin..].to_vec();
        cycle.push(at.to_owned());
        return Some(cycle);
    }
    if done.contains(at) {
        return None;
    }
    way.push(at.to_owned());
    let found = graph.get(at).and_then(|uses| uses.keys().find_map(|next| follow(next, graph, way, done)));
    way.pop();
    done.insert(at.to_owned());
    found
}

#[test]
fn a_cycle_is_found() {
    let module = |uses: &[&str]| uses.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let mut graph = Graph::from([("a".to_owned(), module(&["b"])), ("b".to_owned(), module(&["c"]))]);
    assert_eq!(find_cycle(&graph), None);
    graph.insert("c".to_owned(), module(&["b"]));
    assert_eq!(find_cycle(&graph).unwrap(), ["b", "c", "b"]);
    assert_eq!(used("use crate::{a::{x, y}, b::z};\ncrate::c::d()"), ["a", "b", "c"].map(str::to_owned).into());
}
