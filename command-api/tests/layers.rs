//! The engine (`app`, `log`, `relay`) knows no module: modules are built on it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the engine is made of; it may name nothing else of this crate.
const ENGINE: [&str; 3] = ["app", "log", "relay"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of the sources") {
        let path = entry.expect("a file or folder").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules of this crate that a file names, by `crate::…` or, of one beside it, `super::super::…`.
fn named(text: &str) -> BTreeSet<&str> {
    let paths = text.split("crate::").skip(1).chain(text.split("super::super::").skip(1));
    let name = |path: &str| path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    paths.map(|path| &path[..name(path)]).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_engine_names_no_module() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut engine = vec![source.join("app.rs")];
    engine.extend(ENGINE.iter().flat_map(|part| files(&source.join(part))));
    assert!(engine.len() > 20, "{engine:?}");
    for file in engine {
        let text = std::fs::read_to_string(&file).expect("a source file");
        // Of a group, `use crate::{…}`, nothing would be found.
        assert!(!text.contains("crate::{"), "{file:?} imports a group");
        for name in named(&text) {
            assert!(ENGINE.contains(&name), "{file:?} names {name}");
        }
    }
}
