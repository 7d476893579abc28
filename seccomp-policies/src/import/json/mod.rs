//! JSON with the place of every value.
//!
//! The parser is told to take nothing but JSON: what it allows beyond (comments, trailing commas) the programs that
//! read these files refuse.

mod reader;

pub(crate) use jsonc_parser::ast::{Array, Object, Value};
pub(crate) use reader::{Fields, Reader, Text, Unknown};

use std::ops::Range;

use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::language::Diagnostic;

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The value that a text is.
pub(crate) fn parse(text: &str) -> Result<Value<'_>, Diagnostic> {
    let error = |title: &str, span: Range<usize>| {
        Diagnostic::error(format!("this is not JSON: {title}"), 0, span, "here")
            .help("see what `python3 -m json.tool` or another checker says of it")
    };
    match parse_to_ast(text, &CollectOptions::default(), &STRICT) {
        Ok(parsed) => parsed.value.ok_or_else(|| error("the file is empty", 0..0)),
        Err(failed) => {
            let (title, span) = (failed.kind().to_string(), span(&failed.range(), text));
            Err(error(&lowercase(&title), span))
        }
    }
}

/// The bytes of a value, at characters' boundaries of the text.
fn span(range: &impl Ranged, text: &str) -> Range<usize> {
    let boundary = |byte: usize| text.floor_char_boundary(byte.min(text.len()));
    let start = boundary(range.start());
    start..boundary(range.end()).max(start)
}

/// The bytes of a value.
pub(crate) fn place(value: &impl Ranged) -> Range<usize> {
    value.start()..value.end()
}

fn lowercase(title: &str) -> String {
    let mut chars = title.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_only_for_lenient_readers_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{a: 1}",
            "['a']",
            "[0x10]",
            "[+1]",
            "[.5]",
            "[NaN]",
            "[1 2]",
            "[1] [2]",
            "// c\n[]",
            "[\"\\x41\"]",
            "\u{feff}[]",
            "é",
            "[\"é",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("{\"a\": [1, -2.5e3, \"\\u00e9\", true, null]}").is_ok());
    }

    #[test]
    fn nesting_is_limited() {
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).unwrap_err().title.contains("nesting depth"));
    }
}
