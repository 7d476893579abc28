//! What a program decides, row by row, for programs that are no policy.

use std::fmt;

use serde::Serialize;

use super::Program;
use crate::bpf::Operation;
use crate::language::write_condition;
use crate::prove::{Answer, Calls, Decisions, Space, condition_of};
use crate::syscalls::{self, Arch, Syscall};

/// The version of a table's JSON.
const SCHEMA: u32 = 1;

/// Entries by which calls come, and their names: `AUDIT_ARCH_*`, Linux `include/uapi/linux/audit.h`.
const ENTRIES: [(u32, &str); 8] = [
    (0xc000_003e, "x86_64"),
    (0x4000_0003, "i386"),
    (0xc000_00b7, "aarch64"),
    (0x4000_0028, "arm"),
    (0xc000_00f3, "riscv64"),
    (0xc000_0015, "ppc64le"),
    (0x8000_0016, "s390x"),
    (0xc000_0102, "loongarch64"),
];

/// What a program decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// The version of this form: 1.
    pub schema: u32,
    /// Whether the rows say all. If not, the program looks at more than numbers, known entries and arguments.
    pub complete: bool,
    /// The rows: by entry, then by number.
    pub rows: Vec<Row>,
}

/// Calls of neighbouring numbers that are answered alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The entry by which the calls come: its name or its number, or `any other`.
    pub entry: String,
    /// The lowest number.
    pub first: u32,
    /// The highest number.
    pub last: u32,
    /// The call's name, where there is one call and it has a name here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<&'static str>,
    /// What is answered, each with the condition of its arguments: empty for any, `?` where it is none that can be
    /// written.
    pub answers: Vec<(String, String)>,
}

/// Makes the table. `arch` is the one whose calls are shown first.
pub(super) fn table(program: &Program, decisions: &Decisions, arch: Arch) -> Table {
    let mut tabulator = Tabulator { program, decisions, space: Space::new(), complete: true };
    let mut rows = Vec::new();
    let mut entries = ENTRIES.to_vec();
    entries.sort_by_key(|(audit, _)| *audit != arch.audit_value());
    // An entry that no architecture has stands for all others.
    let other = tabulator.rows(0, "any other");
    for (audit, name) in entries {
        let of_entry = tabulator.rows(audit, name);
        let alike = of_entry.len() == other.len()
            && of_entry.iter().zip(&other).all(|(one, other)| one.answers_as(other));
        if !alike {
            rows.extend(of_entry);
        }
    }
    rows.extend(other);
    tabulator.check_entries();
    Table { schema: SCHEMA, complete: tabulator.complete, rows }
}

struct Tabulator<'a> {
    program: &'a Program,
    decisions: &'a Decisions,
    space: Space,
    complete: bool,
}

impl Tabulator<'_> {
    fn rows(&mut self, audit: u32, entry: &str) -> Vec<Row> {
        let arch = [Arch::X86_64, Arch::Aarch64].into_iter().find(|arch| arch.audit_value() == audit);
        let starts = self.starts(audit);
        let mut rows: Vec<Row> = Vec::new();
        for (index, first) in starts.iter().enumerate() {
            let last = starts.get(index + 1).map_or(u32::MAX, |next| next - 1);
            let call = arch.and_then(|arch| syscalls::by_number(arch, *first)).filter(|_| *first == last);
            let answers = self.answers(audit, *first, arch.zip(call));
            match rows.last_mut() {
                Some(row)
                    if row.answers == answers
                        && (row.call.is_none() && call.is_none() || answers.len() == 1) =>
                {
                    row.last = last;
                    row.call = None;
                }
                _ => rows.push(Row {
                    entry: entry.to_owned(),
                    first: *first,
                    last,
                    call: call.map(|call| call.name),
                    answers,
                }),
            }
        }
        rows
    }

    /// Whether the program tells apart entries that are not among the known ones.
    fn check_entries(&mut self) {
        let known = ENTRIES.iter().map(|(audit, _)| self.space.of_arch(*audit));
        let known = known.fold(self.space.none(), |known, entry| known.union(&entry));
        let alike = self.decisions.iter().all(|(_, calls)| {
            let (others, other) = (calls.without(&known), calls.of_entry(0).without(&known));
            others.covers(&other) && other.covers(&others)
        });
        self.complete &= alike;
    }

    /// The numbers at which something may change: bounds of what gets an answer, and constants of the program.
    fn starts(&mut self, audit: u32) -> Vec<u32> {
        let mut starts = vec![0];
        for (_, calls) in self.decisions.iter() {
            match calls.numbers(audit) {
                Some(ranges) => {
                    starts.extend(
                        ranges
                            .iter()
                            .flat_map(|range| [Some(*range.start()), range.end().checked_add(1)])
                            .flatten(),
                    );
                }
                None => self.complete = false,
            }
        }
        for instruction in self.program.instructions() {
            if matches!(Operation::decode(instruction), Some(Operation::Branch { .. })) {
                starts.push(instruction.k);
                starts.extend(instruction.k.checked_add(1));
            }
        }
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    fn answers(
        &mut self,
        audit: u32,
        number: u32,
        call: Option<(Arch, &'static Syscall)>,
    ) -> Vec<(String, String)> {
        let parts = self.decisions.iter().map(|(answer, calls)| (answer, calls.of_call(audit, number)));
        let parts: Vec<(Answer, Calls)> = parts.filter(|(_, calls)| !calls.is_empty()).collect();
        if let [(answer, _)] = parts.as_slice() {
            return vec![(answer.to_string(), String::new())];
        }
        let (shown, call) = call.unwrap_or((Arch::X86_64, &UNNAMED));
        let mut answers = Vec::new();
        for (answer, calls) in parts {
            let condition = condition_of(&calls, call).ok();
            self.complete &= condition.is_some();
            let text = condition.and_then(|condition| write_condition(shown, call, &[], &condition));
            answers.push((answer.to_string(), text.unwrap_or_else(|| "?".to_owned())));
        }
        answers
    }
}

/// A call whose arguments have no names.
static UNNAMED: Syscall = Syscall { number: u32::MAX, name: "unnamed", arguments: &[] };

impl Row {
    fn answers_as(&self, other: &Self) -> bool {
        (self.first, self.last, &self.answers) == (other.first, other.last, &other.answers)
    }
}

impl fmt::Display for Table {
    /// A line for each answer of each row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let numbers = match row.call {
                Some(call) => format!("{call} ({})", row.first),
                None if row.first == row.last => row.first.to_string(),
                None => format!("{}..{}", row.first, row.last),
            };
            for (answer, condition) in &row.answers {
                let when = if condition.is_empty() { String::new() } else { format!("  if {condition}") };
                writeln!(f, "{:<10} {numbers:<24} {answer}{when}", row.entry)?;
            }
        }
        Ok(())
    }
}
