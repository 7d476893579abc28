//! The guide shows this program as it is.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

#[test]
fn what_the_guide_shows_is_taken_from_the_files_it_names() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(package.join("../../../docs/using-the-crate.md")).expect("it is there");
    let mut shown = 0;
    for block in guide.split("```").skip(1).step_by(2) {
        let (head, text) = block.split_once('\n').expect("a block has lines");
        // A language and a file; blocks without are commands and messages.
        let Some((_, file)) = head.split_once(' ') else { continue };
        let source = fs::read_to_string(package.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(text), "{file} does not hold\n{text}");
        shown += 1;
    }
    assert_eq!(shown, 6);
}
