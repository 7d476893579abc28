//! Comparisons of a rule: `{"index": 0, "value": 38, "op": "SCMP_CMP_LT"}`.

use crate::import::json::{Reader, Value, place};
use crate::language::{Condition, Diagnostic, Relation, Test, Width};

const WHAT: &str = "a condition";
const OPERATORS: &str = "the operators are SCMP_CMP_EQ, _NE, _LT, _LE, _GT, _GE and _MASKED_EQ";

/// The conditions that a rule becomes. They must all hold and are one; but where several look at one argument, runc
/// adds each as a rule of its own, so that any of them is enough.
pub(super) fn read(reader: &mut Reader, args: &Value) -> Option<Vec<Condition>> {
    let args = reader.array(args, "`args`")?;
    let read: Vec<_> = args.elements.iter().map(|value| test(reader, value)).collect();
    let tests: Vec<Test> = read.into_iter().collect::<Option<_>>()?;
    let mut seen = [false; 6];
    let mut repeats = |test: &Test| std::mem::replace(&mut seen[usize::from(test.argument)], true);
    let is_any = tests.iter().filter(|test| repeats(test)).count() > 0;
    if is_any {
        reader.findings.note(
            Diagnostic::error("two conditions are on one argument", 0, place(args), "any of these is enough")
                .help("so runtimes read it, for the sake of old profiles"),
        );
    }
    let mut conditions: Vec<_> = tests.into_iter().map(Condition::Test).collect();
    Some(match conditions.len() {
        0 => vec![Condition::Always],
        1 => conditions,
        _ if is_any => conditions,
        _ => vec![Condition::All(std::mem::take(&mut conditions))],
    })
}

fn test(reader: &mut Reader, value: &Value) -> Option<Test> {
    let fields = reader.fields(value, WHAT, &["index", "value", "valueTwo", "op"])?;
    let index = reader.required(&fields, WHAT, "index").and_then(|index| argument(reader, index));
    // Go's zero, where a field is left out.
    let mut number = |name: &str| match fields.get(name) {
        Some(value) => reader.number(value, &format!("`{name}`")),
        None => Some(0),
    };
    let (value, second) = (number("value"), number("valueTwo"));
    let operator = reader.required(&fields, WHAT, "op");
    let relation = relation(reader, operator?, value?, second?)?;
    Some(Test { argument: index?, width: Width::Bits64, relation })
}

fn argument(reader: &mut Reader, value: &Value) -> Option<u8> {
    let index = reader.number(value, "`index`")?;
    let found = u8::try_from(index).ok().filter(|index| *index < 6);
    if found.is_none() {
        reader.error("a call has the arguments 0 to 5", value, "no such argument");
    }
    found
}

fn relation(reader: &mut Reader, operator: &Value, value: u64, second: u64) -> Option<Relation> {
    let text = reader.text(operator, "`op`")?;
    Some(match text.text {
        "SCMP_CMP_EQ" => Relation::Equal(value),
        "SCMP_CMP_NE" => Relation::NotEqual(value),
        "SCMP_CMP_LT" => Relation::Less(value),
        "SCMP_CMP_LE" => Relation::LessOrEqual(value),
        "SCMP_CMP_GT" => Relation::Greater(value),
        "SCMP_CMP_GE" => Relation::GreaterOrEqual(value),
        "SCMP_CMP_MASKED_EQ" => Relation::Masked { mask: value, value: second & value },
        other => {
            let title = format!("unknown operator `{other}`");
            reader.findings.error(Diagnostic::error(title, 0, text.span, "not an operator").help(OPERATORS));
            return None;
        }
    })
}
