//! Tables of calls and verdicts, in the form of libseccomp's.
//!
//! A line `policy FILE TARGET` names the policy text beside the table that judges the rows below it. A row is an
//! architecture, a call, six arguments and a verdict, between tabs:
//! - architecture: `x86_64`, `x32`, `i386`, `aarch64`, or a number of the kernel's `AUDIT_ARCH_*`;
//! - call: a name of the target's, or numbers as for arguments;
//! - argument: `~` for any value, or a list of values and ranges with both ends, as in `0,5..7`. A value is a number, a
//!   constant, or the first descriptor of a slot, as in `@log`. `:u32` after one: whatever the register's upper half;
//! - verdict: as messages write an action, as in `errno 4095`, or `errno EPERM`.
//!
//! A row stands for every call that fits: all of them have that verdict.

use std::fs;
use std::path::Path;

use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::constants;
use seccomp_policies::language::{Condition, Policy, Relation, Test, Width, load};
use seccomp_policies::prove::{Calls, Space, Union};
use seccomp_policies::syscalls::{Arch, X32_BIT, by_name};

/// `AUDIT_ARCH_I386`, Linux `include/uapi/linux/audit.h`.
pub const I386: u32 = 0x4000_0003;

/// What an upper half holds where it is not to matter.
const UPPER: [u64; 3] = [0, 0xdead_beef_0000_0000, 0xffff_ffff_0000_0000];

/// Values of a register that may have any.
const ANY: [u64; 8] =
    [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x8000_0000_0000_0000, u64::MAX];

/// A policy and the rows that it is judged by.
pub struct Table {
    /// File and line of the line that names the policy.
    pub place: String,
    pub policy: Policy,
    pub rows: Vec<Row>,
}

/// Calls and the verdict on each of them.
pub struct Row {
    /// The row as it stands in its file.
    pub text: String,
    pub verdict: Action,
    arch: u32,
    numbers: Vec<u32>,
    arguments: Vec<Cell>,
}

/// The values of a register: some of these ranges. With none of them, any value.
type Cell = Vec<Values>;

/// From one value to another, both included.
struct Values {
    width: Width,
    first: u64,
    last: u64,
}

/// The tables of a file; none if it names no policy.
pub fn read(path: &Path) -> Vec<Table> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut tables: Vec<Table> = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        match (&columns[..], tables.last_mut()) {
            (["policy", file, target], _) => tables.push(Table {
                place: format!("{}:{number}", path.display()),
                policy: policy(&path.with_file_name(file), target),
                rows: Vec::new(),
            }),
            (_, Some(table)) => table.rows.push(row(&table.policy, line, &columns)),
            (_, None) => return Vec::new(),
        }
    }
    tables
}

fn policy(path: &Path, target: &str) -> Policy {
    let arch = Arch::from_name(target).unwrap_or_else(|| panic!("no such target as {target}"));
    load(path, arch).unwrap_or_else(|findings| panic!("{findings}")).policy
}

fn row(policy: &Policy, line: &str, columns: &[&str]) -> Row {
    let [arch, call, arguments @ .., verdict] = columns else { panic!("too few columns: {line}") };
    assert_eq!(arguments.len(), 6, "a call has six arguments: {line}");
    let (arch, bit) = match *arch {
        "x86_64" => (Arch::X86_64.audit_value(), 0),
        "x32" => (Arch::X86_64.audit_value(), X32_BIT),
        "i386" => (I386, 0),
        "aarch64" => (Arch::Aarch64.audit_value(), 0),
        other => (narrow(number(policy, other)), 0),
    };
    Row {
        text: line.to_owned(),
        verdict: action(verdict).unwrap_or_else(|| panic!("no such verdict: {line}")),
        arch,
        numbers: numbers(policy, call).into_iter().map(|number| number | bit).collect(),
        arguments: arguments.iter().map(|column| cell(policy, column)).collect(),
    }
}

fn action(text: &str) -> Option<Action> {
    Some(match text {
        "allow" => Action::Allow,
        "trap" => Action::Trap,
        "log" => Action::Log,
        "kill" => Action::KillProcess,
        "kill_thread" => Action::KillThread,
        errno => {
            let error = errno.strip_prefix("errno ")?;
            Action::Errno(error.parse().ok().or_else(|| constants::errno(error))?)
        }
    })
}

fn numbers(policy: &Policy, column: &str) -> Vec<u32> {
    if let Some(call) = by_name(policy.arch, column) {
        return vec![call.number];
    }
    let cell = cell(policy, column);
    assert!(!cell.is_empty(), "a row names its calls");
    cell.iter().flat_map(|values| narrow(values.first)..=narrow(values.last)).collect()
}

fn cell(policy: &Policy, column: &str) -> Cell {
    if column == "~" {
        return Vec::new();
    }
    column.split(',').map(|part| values(policy, part)).collect()
}

fn values(policy: &Policy, part: &str) -> Values {
    let (part, width) = part.strip_suffix(":u32").map_or((part, Width::Bits64), |part| (part, Width::Bits32));
    let (first, last) = part.split_once("..").unwrap_or((part, part));
    let value = |word| number(policy, word) & width.mask();
    let (first, last) = (value(first), value(last));
    assert!(first <= last, "an empty range: {part}");
    Values { width, first, last }
}

/// A number, a constant, several of them with `|` between, or the first descriptor of a slot.
pub fn number(policy: &Policy, word: &str) -> u64 {
    if let Some(slot) = word.strip_prefix('@') {
        let found = policy.slots.iter().find(|known| known.name == slot);
        return found.unwrap_or_else(|| panic!("no slot {slot}")).first.into();
    }
    if let Some(digits) = word.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).expect("hexadecimal digits");
    }
    if word.contains('|') {
        return word.split('|').fold(0, |flags, word| flags | number(policy, word));
    }
    let signed = word.parse().ok().or_else(|| constants::value(policy.arch, word));
    signed.unwrap_or_else(|| panic!("neither a number nor a constant: {word}")).cast_unsigned()
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).expect("numbers of calls and architectures have 32 bits")
}

impl Row {
    /// Calls of the row: the ends and the middle of every range, in every combination. Registers that may have any value
    /// have the same one.
    pub fn calls(&self) -> Vec<Call> {
        let blank = |number| Call { number, arch: self.arch, instruction_pointer: 0x1000, arguments: [0; 6] };
        let mut calls: Vec<Call> = self.numbers.iter().map(|number| blank(*number)).collect();
        calls = with_each(&calls, &ANY, |call, value| {
            let open = self.arguments.iter().zip(&mut call.arguments).filter(|(cell, _)| cell.is_empty());
            open.for_each(|(_, register)| *register = value);
        });
        for (index, cell) in self.arguments.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let values: Vec<u64> = cell.iter().flat_map(Values::samples).collect();
            calls = with_each(&calls, &values, |call, value| call.arguments[index] = value);
        }
        calls
    }

    /// Every call of the row.
    pub fn set(&self, space: &Space) -> Calls {
        let mut numbered = Union::new();
        self.numbers.iter().for_each(|number| numbered.add(space.numbered(*number)));
        let numbered = numbered.into_calls().expect("a row has calls");
        let registers = (0..).zip(&self.arguments).filter(|(_, cell)| !cell.is_empty());
        let within = |(argument, cell): (u8, &Cell)| {
            Condition::Any(cell.iter().map(|values| values.condition(argument)).collect())
        };
        let arguments = space.calls(&Condition::All(registers.map(within).collect()));
        space.of_arch(self.arch).intersection(&numbered).intersection(&arguments)
    }
}

fn with_each(calls: &[Call], values: &[u64], set: impl Fn(&mut Call, u64)) -> Vec<Call> {
    let mut all: Vec<Call> = Vec::new();
    for call in calls {
        let varied = values.iter().map(|value| {
            let mut call = *call;
            set(&mut call, *value);
            call
        });
        all.extend(varied);
    }
    all.dedup();
    all
}

impl Values {
    fn samples(&self) -> Vec<u64> {
        let middle = self.first + (self.last - self.first) / 2;
        let near = |value: u64| value.clamp(self.first, self.last);
        let mut lower = vec![
            self.first,
            near(self.first.saturating_add(1)),
            middle,
            near(self.last.saturating_sub(1)),
            self.last,
        ];
        lower.dedup();
        match self.width {
            Width::Bits64 => lower,
            Width::Bits32 => lower.iter().flat_map(|value| UPPER.map(|upper| upper | value)).collect(),
        }
    }

    fn condition(&self, argument: u8) -> Condition {
        let test = |relation| Condition::Test(Test { argument, width: self.width, relation });
        Condition::All(vec![
            test(Relation::GreaterOrEqual(self.first)),
            test(Relation::LessOrEqual(self.last)),
        ])
    }
}
