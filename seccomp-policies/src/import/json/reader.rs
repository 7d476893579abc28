//! Values of the types that a format asks for; everything else is a finding at its place.

use std::collections::HashMap;
use std::ops::Range;

use jsonc_parser::ast::{Array, Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;

use super::place;
use crate::import::Findings;
use crate::language::Diagnostic;

/// What a program does with a field that it does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It refuses the file.
    Refused,
    /// It reads on, so that a misspelt field is one that is not there.
    Ignored,
}

/// Reads values and keeps what is wrong with them.
pub(crate) struct Reader<'f> {
    pub(crate) findings: &'f mut Findings,
    pub(crate) unknown: Unknown,
}

/// A string and its place.
#[derive(Clone, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
    pub(crate) span: Range<usize>,
}

/// The fields of an object that a format knows.
pub(crate) struct Fields<'v, 'a> {
    known: HashMap<&'v str, &'v ObjectProp<'a>>,
    pub(crate) span: Range<usize>,
}

impl<'v, 'a> Fields<'v, 'a> {
    /// A field that is there, and is not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&'v Value<'a>> {
        self.known.get(name).map(|property| &property.value).filter(|value| value.as_null_keyword().is_none())
    }

    /// The first of several names of a field that is there.
    pub(crate) fn any(&self, names: [&str; 2]) -> Option<&'v Value<'a>> {
        names.iter().find_map(|name| self.get(name))
    }
}

impl Reader<'_> {
    pub(crate) fn error(&mut self, title: impl Into<String>, value: &impl Ranged, text: impl Into<String>) {
        self.findings.error(Diagnostic::error(title, 0, place(value), text));
    }

    /// The fields of an object; those that the format does not know, and those that are there twice, are findings.
    pub(crate) fn fields<'v, 'a>(
        &mut self,
        value: &'v Value<'a>,
        what: &str,
        names: &[&'static str],
    ) -> Option<Fields<'v, 'a>> {
        let object = self.object(value, what)?;
        let mut known: HashMap<&str, &ObjectProp> = HashMap::new();
        for property in &object.properties {
            let name = property.name.as_str();
            if !names.contains(&name) {
                self.unknown_field(property, what, names);
            } else if let Some(first) = known.insert(name, property) {
                let title = format!("{what} has `{name}` twice");
                self.findings.error(
                    Diagnostic::error(title, 0, place(&property.name), "again here")
                        .context(0, place(&first.name), "first here")
                        .help("take one of the two away"),
                );
            }
        }
        Some(Fields { known, span: place(object) })
    }

    fn unknown_field(&mut self, property: &ObjectProp, what: &str, names: &[&'static str]) {
        let name = property.name.as_str();
        let title = format!("{what} has no field `{name}`");
        let mut finding = Diagnostic::error(title, 0, place(&property.name), "unknown field");
        if let Some(near) = self.findings.suggestion(name, names.iter().copied()) {
            finding = finding.help(format!("did you mean `{near}`?"));
        }
        match self.unknown {
            Unknown::Refused => self.findings.error(finding),
            Unknown::Ignored => self.findings.note(finding.help("programs that read such files ignore it")),
        }
    }

    /// A field that must be there.
    pub(crate) fn required<'v, 'a>(
        &mut self,
        fields: &Fields<'v, 'a>,
        what: &str,
        name: &str,
    ) -> Option<&'v Value<'a>> {
        let value = fields.get(name);
        if value.is_none() {
            let start = fields.span.start;
            let title = format!("{what} has no `{name}`");
            self.findings.error(Diagnostic::error(title, 0, start..start + 1, "begins here"));
        }
        value
    }

    pub(crate) fn object<'v, 'a>(&mut self, value: &'v Value<'a>, what: &str) -> Option<&'v Object<'a>> {
        value.as_object().or_else(|| self.mistyped(value, what, "an object"))
    }

    pub(crate) fn array<'v, 'a>(&mut self, value: &'v Value<'a>, what: &str) -> Option<&'v Array<'a>> {
        value.as_array().or_else(|| self.mistyped(value, what, "an array"))
    }

    pub(crate) fn text<'v>(&mut self, value: &'v Value, what: &str) -> Option<Text<'v>> {
        match value.as_string_lit() {
            Some(string) => Some(Text { text: &string.value, span: place(string) }),
            None => self.mistyped(value, what, "a string"),
        }
    }

    /// A whole number, not negative.
    pub(crate) fn number(&mut self, value: &Value, what: &str) -> Option<u64> {
        let Some(number) = value.as_number_lit() else { return self.mistyped(value, what, "a number") };
        let parsed = number.value.parse().ok();
        if parsed.is_none() {
            let title = format!("{what} is a whole number from 0 to {}", u64::MAX);
            self.error(title, value, "not one");
        }
        parsed
    }

    fn mistyped<T>(&mut self, value: &Value, what: &str, wanted: &str) -> Option<T> {
        self.error(format!("{what} is {wanted}"), value, format!("{} here", kind(value)));
        None
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "a truth value",
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::NullKeyword(_) => "nothing",
    }
}
