//! One comparison: `{"index": 1, "type": "dword", "op": "eq", "val": 44672}`.

use crate::import::json::{Reader, Value, place};
use crate::language::{Condition, Diagnostic, Relation, Test, Width};

const WHAT: &str = "a condition";
const OPERATORS: &str =
    "the operators are \"eq\", \"ne\", \"lt\", \"le\", \"gt\", \"ge\" and {\"masked_eq\": MASK}";

/// A condition, and what its comment says.
pub(super) fn read(reader: &mut Reader, value: &Value) -> Option<(Condition, Option<String>)> {
    let fields = reader.fields(value, WHAT, &["index", "type", "op", "val", "comment"])?;
    let index = reader.required(&fields, WHAT, "index").and_then(|index| argument(reader, index));
    let width = reader.required(&fields, WHAT, "type").and_then(|width| self::width(reader, width));
    let constant = reader.required(&fields, WHAT, "val").and_then(|value| reader.number(value, "`val`"));
    let operator = reader.required(&fields, WHAT, "op");
    let comment = match fields.get("comment") {
        Some(comment) => Some(reader.text(comment, "a comment")?.text.to_owned()),
        None => None,
    };
    let (width, constant) = (width?, constant?);
    let relation = relation(reader, operator?, width, constant)?;
    if constant > width.mask() {
        let title = format!("a dword is compared with {constant:#x}, which has more than 32 bits");
        let place = fields.get("val").map_or(fields.span.clone(), place);
        reader.findings.note(
            Diagnostic::error(title, 0, place, "cut to 32 bits, as seccompiler does")
                .help("write \"qword\" if the whole register is meant"),
        );
    }
    Some((Condition::Test(Test { argument: index?, width, relation }), comment))
}

fn argument(reader: &mut Reader, value: &Value) -> Option<u8> {
    let index = reader.number(value, "`index`")?;
    let found = u8::try_from(index).ok().filter(|index| *index < 6);
    if found.is_none() {
        reader.error("a call has the arguments 0 to 5", value, "no such argument");
    }
    found
}

fn width(reader: &mut Reader, value: &Value) -> Option<Width> {
    let text = reader.text(value, "`type`")?;
    match text.text {
        "dword" => Some(Width::Bits32),
        "qword" => Some(Width::Bits64),
        other => {
            let title = format!("unknown type `{other}`");
            reader.findings.error(
                Diagnostic::error(title, 0, text.span, "how many bits are compared")
                    .help("write \"dword\" for 32 bits or \"qword\" for 64"),
            );
            None
        }
    }
}

fn relation(reader: &mut Reader, value: &Value, width: Width, constant: u64) -> Option<Relation> {
    let constant = constant & width.mask();
    if let Some(object) = value.as_object() {
        let [property] = object.properties.as_slice() else {
            return unknown(reader, value);
        };
        if property.name.as_str() != "masked_eq" {
            return unknown(reader, value);
        }
        let mask = reader.number(&property.value, "the mask")? & width.mask();
        return Some(Relation::Masked { mask, value: constant & mask });
    }
    Some(match reader.text(value, "`op`")?.text {
        "eq" => Relation::Equal(constant),
        "ne" => Relation::NotEqual(constant),
        "lt" => Relation::Less(constant),
        "le" => Relation::LessOrEqual(constant),
        "gt" => Relation::Greater(constant),
        "ge" => Relation::GreaterOrEqual(constant),
        _ => return unknown(reader, value),
    })
}

fn unknown(reader: &mut Reader, value: &Value) -> Option<Relation> {
    reader
        .findings
        .error(Diagnostic::error("unknown operator", 0, place(value), "not an operator").help(OPERATORS));
    None
}
