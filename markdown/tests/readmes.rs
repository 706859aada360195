//! Reads and writes real files: the README of every dependency that lies in the local cache.

mod support;

use std::path::PathBuf;

use markdown::{parse, write};

fn readmes() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    let folders =
        |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let crates = folders(home.join("registry/src")).flat_map(folders);
    crates.map(|folder| folder.join("README.md")).filter(|readme| readme.is_file()).collect()
}

#[test]
fn every_readme_reads_back_and_keeps_its_letters() {
    let readmes = readmes();
    if readmes.is_empty() {
        eprintln!("skipped: there is no README.md in the registry folder of CARGO_HOME");
        return;
    }
    let mut wrong = Vec::new();
    for readme in &readmes {
        let markdown =
            String::from_utf8_lossy(&std::fs::read(readme).expect("a file that can be read")).into_owned();
        let document = parse(&markdown);
        if parse(&write(None, &document.blocks)).blocks != document.blocks {
            wrong.push(format!("{} does not read back", readme.display()));
        }
        if let Some(lost) = support::lost(&markdown, &document.blocks) {
            wrong.push(format!("{} loses {lost:?}", readme.display()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), readmes.len());
    eprintln!("{} files read back and kept their letters", readmes.len());
}
