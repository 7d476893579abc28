//! The examples of `docs/policy-language.md`: each block does what the page says of it.

use std::fs;
use std::path::Path;

use seccomp_policies::language::format;
use seccomp_policies::syscalls::Arch;

use super::{HEADER, findings};

/// A fenced block of the page.
struct Block {
    /// What stands after the fence.
    kind: String,
    /// The line of the fence, from 1.
    line: usize,
    text: String,
}

fn blocks() -> Vec<Block> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy-language.md");
    let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block { kind: kind.to_owned(), line: index + 1, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// What there is to say about rules of the page.
fn said(rules: &str, files: &[(String, String)]) -> String {
    let text = format!("{}\n{rules}", HEADER.join("\n"));
    let mut sources = vec![("r.policy", text.as_str())];
    sources.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    findings(&sources, Arch::X86_64)
}

#[test]
fn every_example_of_the_reference_does_what_the_page_says() {
    let blocks = blocks();
    let mut files: Vec<(String, String)> = Vec::new();
    let mut seen = 0;
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("docs/policy-language.md:{}", block.line);
        let message =
            blocks.get(index + 1).filter(|next| next.kind == "message").map(|next| next.text.as_str());
        match block.kind.as_str() {
            "policy-header" => assert_eq!(block.text, HEADER.join("\n") + "\n", "{at}"),
            "policy" => assert_eq!(findings(&[("vcpu.policy", &block.text)], Arch::X86_64), "", "{at}"),
            "rules" => {
                let said = said(&block.text, &files);
                assert!(!said.contains("error:"), "{at}\n{said}");
            }
            "wrong-rules" | "noted-rules" => {
                let severity = if block.kind == "wrong-rules" { "error: " } else { "note: " };
                let said = said(&block.text, &files);
                assert!(said.starts_with(severity), "{at}\n{said}");
                assert_eq!(Some(said.as_str()), message, "{at}");
            }
            "layout" => assert_eq!(format("r.policy", &block.text).ok().as_deref(), message, "{at}"),
            "message" | "" => continue,
            other => {
                let name = other.strip_prefix("file ").unwrap_or_else(|| panic!("{at}: what is `{other}`?"));
                files.push((name.to_owned(), block.text.clone()));
            }
        }
        seen += 1;
    }
    assert!(seen >= 15, "the page has lost its examples: {seen}");
}
