//! The modules of each crate know each other in one direction only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders of this crate; each may name those before it.
const FOLDERS: [&str; 3] = ["domain", "log", "process"];

/// A module's path in its crate; empty for the crate's root.
type Module = Vec<String>;

/// Which modules the code of each module names, tests aside.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_modules_know_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut circles = Vec::new();
    let mut crates = 0;
    for entry in std::fs::read_dir(root).expect("the workspace") {
        let folder = entry.expect("readable").path();
        if folder.join("Cargo.toml").exists() && folder.join("src").exists() {
            crates += 1;
            let depth = if folder.ends_with("shared") { 2 } else { 1 };
            let circle = circle(&coarse(&graph(&sources(&folder)), depth));
            let name = folder.file_name().expect("a folder of the workspace").display().to_string();
            circles.extend(circle.map(|names| format!("{name}: {names}")));
        }
    }
    assert!(crates >= 9, "only {crates} crates were found");
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn no_folder_of_this_crate_knows_one_above_it() {
    let graph = graph(&sources(Path::new(env!("CARGO_MANIFEST_DIR"))));
    let level =
        |module: &Module| FOLDERS.iter().position(|folder| module.first().is_some_and(|m| m == folder));
    let arrows = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let upward: Vec<_> = arrows.filter(|(from, to)| !from.is_empty() && level(to) > level(from)).collect();
    assert!(upward.is_empty(), "{upward:?}");
    let outside: Vec<_> =
        graph.keys().filter(|module| !module.is_empty() && level(module).is_none()).collect();
    assert!(outside.is_empty(), "{outside:?} is in none of the folders");
}

#[test]
fn a_circle_is_found_however_a_path_is_written() {
    let there = [
        "use crate::b::B;",
        "use crate::{c::C, b::{self, B as Other}};",
        "pub(crate) use super::b::*;",
        "fn f(b: &crate::b::B) {}",
        "fn f() { let c = '\"'; crate::b::f::<'static, u8>() }",
        "#[cfg(test)] mod tests { use super::*; } use crate::b::B;",
        "macro_rules! m { () => { $crate::b::B } }",
    ];
    for text in there {
        let sources =
            [("", "mod a; mod b; mod c;"), ("a", text), ("b", "use crate::c::C;"), ("c", "use super::a::A;")];
        assert_eq!(circle(&graph_of(&sources)).as_deref(), Some("a → b → c → a"), "{text}");
    }
    let nowhere = [
        "// use crate::b::B;",
        "/* a /* b */ use crate::b::B; */",
        "const TEXT: &str = \"crate::b::B \\\" crate::b::B\";",
        "const TEXT: &str = r#\"crate::b::B \" crate::b::B\"#;",
        "use other::crate_b::B; use b::B;",
        "#[cfg(test)] mod tests { fn f() { if true {} } use crate::b::B; }",
        "#[cfg(test)] #[path = \"x.rs\"] use crate::b::{B};",
    ];
    for text in nowhere {
        let sources = [("", "mod a; mod b;"), ("a", text), ("b", "use crate::a::A;")];
        assert_eq!(circle(&graph_of(&sources)), None, "{text}");
    }
    let tests = [
        ("", "mod a; mod b;"),
        ("a", "#[cfg(test)] mod t;"),
        ("a::t", "use crate::b::B;"),
        ("b", "use crate::a::A;"),
    ];
    assert_eq!(circle(&graph_of(&tests)), None, "a module of tests");
}

fn graph_of(sources: &[(&str, &str)]) -> Graph {
    let module = |path: &str| path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let sources = sources.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect();
    coarse(&graph(&sources), 1)
}

/// The source of each module of a crate. (Programs beside the library are crates of their own.)
fn sources(folder: &Path) -> BTreeMap<Module, String> {
    let source = folder.join("src");
    let mut found = BTreeMap::new();
    for file in files(&source) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let within = file.strip_prefix(&source).expect("it is in the folder").with_extension("");
        let mut module: Module = within.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if module.first().is_some_and(|first| first == "bin") {
            continue;
        }
        module.pop_if(|name| ["lib", "main", "mod"].contains(&name.as_str()));
        found.entry(module).or_insert_with(String::new).push_str(&text);
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn graph(sources: &BTreeMap<Module, String>) -> Graph {
    let mut tests = BTreeSet::new();
    let mut tokens = BTreeMap::new();
    for (module, text) in sources {
        let (code, names) = without_tests(&tokenize(text));
        tests.extend(names.into_iter().map(|name| below(module, name)));
        tokens.insert(module, code);
    }
    tokens.retain(|module, _| !(0..=module.len()).any(|length| tests.contains(&module[..length])));
    let named = |module: &Module, code: &[&str]| -> BTreeSet<Module> {
        let target = |path: Vec<&str>| resolve(module, &path, &|module| sources.contains_key(module));
        paths(code).into_iter().filter_map(target).filter(|target| target != module).collect()
    };
    tokens.iter().map(|(module, code)| ((*module).clone(), named(module, code))).collect()
}

/// The words and signs of Rust code, without comments, texts and characters.
fn tokenize(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, counts) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (comment(rest), false),
            '"' => (quoted(rest), false),
            'r' | 'b' if is_raw(rest) => (raw(rest), false),
            '\'' => (character(rest), false),
            letter if is_word(letter) => (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true),
            ':' if rest.starts_with("::") => (2, true),
            sign => (sign.len_utf8(), !sign.is_whitespace()),
        };
        tokens.extend(counts.then(|| &rest[..length]));
        rest = &rest[length..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a comment that may hold others.
fn comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

/// The length of a text in quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            c => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

fn is_raw(text: &str) -> bool {
    let text = text.strip_prefix('b').unwrap_or(text);
    text.strip_prefix('r').is_some_and(|text| text.trim_start_matches('#').starts_with('"'))
}

/// The length of a raw text.
fn raw(text: &str) -> usize {
    let (before, _) = text.split_once('"').expect("a raw text has a quote");
    let end = format!("\"{}", "#".repeat(before.matches('#').count()));
    let inside = before.len() + 1;
    text[inside..].find(&end).map_or(text.len(), |at| inside + at + end.len())
}

/// The length of a character, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let inside = &text[1..];
    if inside.starts_with('\\') {
        return inside.char_indices().skip(2).find(|(_, c)| *c == '\'').map_or(text.len(), |(at, _)| at + 2);
    }
    let length = inside.chars().next().map_or(0, char::len_utf8);
    if inside[length..].starts_with('\'') { length + 2 } else { 1 }
}

/// Code without what is for tests only, and the names of files that are.
fn without_tests<'t>(tokens: &[&'t str]) -> (Vec<&'t str>, Vec<&'t str>) {
    let is_mark = |at: usize| tokens[at..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]);
    let (mut code, mut names, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        if !is_mark(at) {
            code.push(tokens[at]);
            at += 1;
            continue;
        }
        let item = &tokens[at..];
        let mut depth = 0;
        let end = item.iter().position(|token| {
            depth += i32::from(*token == "{") - i32::from(*token == "}");
            depth == 0 && [";", "}"].contains(token)
        });
        let item = &item[..end.map_or(item.len(), |end| end + 1)];
        if let [.., "mod", name, ";"] = item {
            names.push(*name);
        }
        at += item.len();
    }
    (code, names)
}

/// All paths in the code, with each path of a group by itself.
fn paths<'c>(code: &'c [&'c str]) -> Vec<Vec<&'c str>> {
    let mut found = Vec::new();
    for at in 0..code.len() {
        let begins = at == 0 || code[at - 1] != "::";
        if begins && code[at].starts_with(is_word) && code.get(at + 1) == Some(&"::") {
            tree(&code[at..], &[], &mut found);
        }
    }
    found
}

/// Reads a path, or a tree of paths as in `use`, behind `before`; what is left of the code.
fn tree<'c>(mut code: &'c [&'c str], before: &[&'c str], found: &mut Vec<Vec<&'c str>>) -> &'c [&'c str] {
    let mut path = before.to_vec();
    while let [name, rest @ ..] = code
        && name.starts_with(is_word)
    {
        path.push(name);
        code = rest;
        match code {
            ["::", "{", rest @ ..] => {
                code = rest;
                while let [first, ..] = code
                    && *first != "}"
                {
                    code = if first.starts_with(is_word) { tree(code, &path, found) } else { &code[1..] };
                }
                return code.get(1..).unwrap_or_default();
            }
            ["::", rest @ ..] => code = rest,
            _ => break,
        }
    }
    found.push(path);
    code
}

/// The module that a path in `module` leads to, if it is one of this crate.
fn resolve(module: &Module, mut path: &[&str], exists: &impl Fn(&Module) -> bool) -> Option<Module> {
    let mut target = match path.first()? {
        &"crate" => Module::new(),
        &"self" | &"super" => module.clone(),
        child if exists(&below(module, child)) => module.clone(),
        _ => return None,
    };
    while let [first @ ("crate" | "self" | "super"), rest @ ..] = path {
        if *first == "super" {
            target.pop();
        }
        path = rest;
    }
    for name in path {
        let next = below(&target, name);
        if !exists(&next) {
            break;
        }
        target = next;
    }
    Some(target)
}

fn below(module: &Module, name: &str) -> Module {
    [module.as_slice(), &[name.to_owned()]].concat()
}

/// The same between modules of this depth. What a module and the one that it is in know of each other does not count.
fn coarse(graph: &Graph, depth: usize) -> Graph {
    let cut = |module: &Module| module[..module.len().min(depth)].to_vec();
    let mut coarse = Graph::new();
    for (from, to) in graph.iter().map(|(from, to)| (cut(from), to)) {
        let to = to.iter().map(cut).filter(|to| !to.starts_with(&from) && !from.starts_with(to));
        coarse.entry(from.clone()).or_default().extend(to);
    }
    coarse
}

/// A circle, if there is one, by the names of its modules.
fn circle(graph: &Graph) -> Option<String> {
    // Modules that know nothing that is left are in no circle. From any other, each step leads to one that has a next.
    let mut graph = graph.clone();
    while let Some(end) = graph.iter().find(|(_, to)| to.iter().all(|to| !graph.contains_key(to))) {
        let end = end.0.clone();
        graph.remove(&end);
    }
    let mut walk = vec![graph.keys().next()?];
    loop {
        let next = graph[walk[walk.len() - 1]].iter().find(|to| graph.contains_key(*to))?;
        if let Some(begin) = walk.iter().position(|module| *module == next) {
            let names: Vec<String> =
                walk[begin..].iter().chain([&next]).map(|module| module.join("::")).collect();
            return Some(names.join(" → "));
        }
        walk.push(next);
    }
}
