//! What the documents say of the project's files is true.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README and everything in docs/, by path and text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("docs")];
    let mut paths = vec![root().join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("docs can be read") {
            let path = entry.expect("docs can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a document can be read");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The texts between two marks.
fn between<'text>(text: &'text str, open: &'static str, close: char) -> impl Iterator<Item = &'text str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inner, _)| inner))
}

#[test]
fn links_lead_to_files_of_the_project() {
    let mut links = 0;
    for (path, text) in documents() {
        for link in between(&text, "](", ')').filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = path.parent().expect("a document lies in a folder").join(link);
            assert!(target.exists(), "{}: no {link}", path.display());
            links += 1;
        }
    }
    assert!(links > 5, "the README links its documents");
}

#[test]
fn paths_in_the_text_exist() {
    const FOLDERS: [&str; 7] =
        ["vmm/", "seccomp-policies/", "guest-images/", "tests/", "benches/", "docs/", ".ci/"];
    let mut paths = 0;
    for (document, text) in documents() {
        // Without the fenced blocks, every second part stands between backticks.
        let prose: String = text.split("```").step_by(2).collect();
        let quoted = prose.split('`').skip(1).step_by(2);
        for quoted in quoted.filter(|quoted| FOLDERS.iter().any(|folder| quoted.starts_with(folder))) {
            // A path ends where a command's options, a pattern or a place in the file begins.
            let path = quoted.split([' ', '*', ':', '{', '<']).next().unwrap_or(quoted);
            assert!(root().join(path).exists(), "{}: no {quoted}", document.display());
            paths += 1;
        }
    }
    assert!(paths > 10, "the documents name files");
}

#[test]
fn policy_that_readme_and_design_show_is_the_real_one() {
    let policy =
        fs::read_to_string(root().join("seccomp-policies/policies/vcpu.policy")).expect("it is there");
    for document in ["README.md", "docs/design.md"] {
        let text = fs::read_to_string(root().join(document)).expect("it is there");
        assert!(text.contains(policy.trim_end()), "{document} shows another vcpu.policy");
    }
}
