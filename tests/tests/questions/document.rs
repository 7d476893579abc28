//! What `docs/policy-commands.md` shows is what the commands say.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ringfence_tests::binary::ringfence;
use tempfile::TempDir;

/// The blocks of the page: what stands behind the opening fence, and the text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(kind) => {
                blocks.push((kind, String::new()));
                is_open = true;
            }
            None if is_open => {
                let (_, text) = blocks.last_mut().expect("a block is open");
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// What a person sees of a command, with one number for every process.
fn seen(command: &str, folder: &TempDir) -> String {
    let binaries = ringfence().parent().expect("it is in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let path = std::env::join_paths([binaries].into_iter().chain(folders)).expect("a path");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null());
    let output = shell.output().expect("there is a shell");
    without_process_numbers(&String::from_utf8(output.stdout).expect("it is text"))
}

/// `sync[1234]` as `sync[PID]`.
fn without_process_numbers(text: &str) -> String {
    let mut parts = text.split('[');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('[');
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        // `args[1]` of a program is not followed by a role.
        let is_number = rest.len() < part.len() && rest.starts_with("] (");
        out.push_str(if is_number { "PID" } else { "" });
        out.push_str(if is_number { rest } else { part });
    }
    out
}

#[test]
fn the_page_shows_what_the_commands_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy-commands.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let folder = TempDir::new().expect("a temporary folder");
    let mut commands = 0;
    for (kind, text) in blocks(&page) {
        if let Some(name) = kind.strip_prefix("file ") {
            fs::write(folder.path().join(name), text).expect("the folder takes a file");
        } else if kind == "console" {
            let mut expected = String::new();
            for command in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
                expected.push_str("$ ");
                expected.push_str(command);
                expected.push('\n');
                expected.push_str(&seen(command, &folder));
                commands += 1;
            }
            assert_eq!(text, expected, "the page is not what the commands say; they say\n{expected}");
        }
    }
    assert!(commands > 8, "only {commands} commands on the page");
}
