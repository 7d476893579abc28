//! A page in a browser.

use std::path::Path;
use std::process::{Command, Stdio};

/// Debian's browser.
const BROWSER: &str = "chromium";

/// A page as the browser has it after its script has run, and what it said on its console. `chosen`: behind the address.
/// `None` where there is no browser.
///
/// # Panics
/// Where the browser shows no document.
pub fn opened(page: &Path, chosen: &str) -> Option<(String, String)> {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(BROWSER)
        // Without its own sandbox, which root may not use.
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{chosen}", page.display()))
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no {BROWSER}");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (document, log) = (text(&output.stdout), text(&output.stderr));
    assert!(document.contains("</html>"), "{log}");
    Some((document, log))
}
