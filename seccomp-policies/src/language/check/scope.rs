//! Expressions inside one rule: arguments by name, constants in their width, tests that can go either way.

use std::collections::HashMap;

use super::slots::Slots;
use super::value;
use crate::constants;
use crate::language::diagnostics::Diagnostic;
use crate::language::policy::{Condition, Relation, Slot, Test};
use crate::language::suggest;
use crate::language::syntax::{Comparator, Comparison, Expression, Name, Span, Term, TestSyntax, Value};
use crate::syscalls::{self, Arch, Argument, Syscall};

/// What an expression's names mean.
pub(super) struct Scope<'a> {
    pub(super) source: usize,
    pub(super) call: &'static Syscall,
    pub(super) arch: Arch,
    pub(super) slots: &'a Slots,
    pub(super) findings: &'a mut Vec<Diagnostic>,
}

/// An argument register and what is known of it.
#[derive(Clone, Copy)]
struct Target {
    index: u8,
    /// With the width that the test asks for, if it does.
    argument: Argument,
}

impl Target {
    const fn test(self, relation: Relation) -> Condition {
        Condition::Test(Test { argument: self.index, width: self.argument.width, relation })
    }
}

impl<'a> Scope<'a> {
    /// The condition of an expression; `None` if it has errors.
    pub(super) fn condition(&mut self, expression: &Expression) -> Option<Condition> {
        match expression {
            Expression::Test(test) => self.test(test),
            Expression::Group(inner) => self.condition(inner),
            Expression::Not(inner) => Some(Condition::Not(Box::new(self.condition(inner)?))),
            Expression::And(parts) => self.conditions(parts).map(Condition::All),
            Expression::Or(parts) => self.conditions(parts).map(Condition::Any),
        }
    }

    /// Every part is looked at, so that one error does not hide the next.
    fn conditions(&mut self, parts: &[Expression]) -> Option<Vec<Condition>> {
        let checked: Vec<_> = parts.iter().map(|part| self.condition(part)).collect();
        checked.into_iter().collect()
    }

    fn test(&mut self, test: &TestSyntax) -> Option<Condition> {
        let Some((index, argument)) = self.argument(&test.argument.text) else {
            let error = self.unknown_argument(test);
            self.findings.push(error);
            return None;
        };
        let width = test.width.unwrap_or(argument.width);
        let target = Target { index, argument: Argument { width, ..*argument } };
        match (&test.comparison, &test.mask) {
            (Comparison::Compare { operator, value, .. }, Some(mask)) => {
                self.masked(test, target, mask, *operator, value)
            }
            (Comparison::Compare { operator, operator_span, value }, None) => {
                self.compare(test, target, *operator, operator_span, value)
            }
            (Comparison::OneOf { members, span }, _) => self.one_of(target, members, span),
            (Comparison::InSlots { slot }, _) => {
                let slot = self.slot(target, slot)?;
                Some(in_range(target, slot.first, slot.last))
            }
            (Comparison::InBits { mask }, _) => self.in_bits(test, target, mask),
        }
    }

    /// An argument by its name. A register that the call does not read has only its number, as in `register5`.
    fn argument(&self, name: &str) -> Option<(u8, &'static Argument)> {
        let unread = || (0..).zip(&syscalls::REGISTERS).skip(self.call.arguments.len());
        self.call.argument(name).or_else(|| unread().find(|(_, register)| register.name == name))
    }

    fn compare(
        &mut self,
        test: &TestSyntax,
        target: Target,
        operator: Comparator,
        operator_span: &Span,
        value: &Value,
    ) -> Option<Condition> {
        if operator.is_ordered()
            && let Some(problem) = self.no_order(target, operator, operator_span, value)
        {
            self.findings.push(problem);
            return None;
        }
        let value = self.value(target, value)?;
        let relation = operator.relation(value);
        if let Some(problem) = self.foregone(test, target, relation) {
            self.findings.push(problem);
            return None;
        }
        Some(target.test(relation))
    }

    /// Values that `<` and its like cannot be used with: negative ones, since the comparison is unsigned, and slots.
    fn no_order(
        &self,
        target: Target,
        operator: Comparator,
        span: &Span,
        value: &Value,
    ) -> Option<Diagnostic> {
        let term = value.terms.iter().find(|term| match term {
            Term::Negative(..) | Term::Slot(_) => true,
            Term::Constant(name) => constants::value(self.arch, &name.text).is_some_and(|value| value < 0),
            Term::Number(_) => false,
        })?;
        let operator = operator.text();
        if let Term::Slot(name) = term {
            let title = format!("`{operator}` cannot compare with a slot");
            return Some(
                Diagnostic::error(title, self.source, span.clone(), "this comparison")
                    .help(format!("write `== @{0}` or `in @{0}`", name.text)),
            );
        }
        let title = format!("`{operator}` compares without signs, and `{value}` is negative");
        let top = top_bit(&target.argument);
        let name = target.argument.name;
        Some(Diagnostic::error(title, self.source, value.span.clone(), "a large number here").help(format!(
            "compare with `==`, or test the sign: `({name} & {top:#x}) != 0` is true of negative values"
        )))
    }

    /// A comparison that is true, or false, of every value.
    fn foregone(&self, test: &TestSyntax, target: Target, relation: Relation) -> Option<Diagnostic> {
        let max = target.argument.width.mask();
        let always = match relation {
            Relation::GreaterOrEqual(0) => true,
            Relation::Less(0) => false,
            Relation::LessOrEqual(value) if value == max => true,
            Relation::Greater(value) if value == max => false,
            _ => return None,
        };
        let (name, top) = (target.argument.name, top_bit(&target.argument));
        let error = self.foregone_error(test, always);
        Some(match relation {
            Relation::GreaterOrEqual(0) | Relation::Less(0) => error.help(format!(
                "comparisons are unsigned; `({name} & {top:#x}) {} 0` is true of {} values",
                if always { "==" } else { "!=" },
                if always { "non-negative" } else { "negative" }
            )),
            _ => error
                .help(format!("{max:#x} is the largest value of `{name}`; take the test away or correct it")),
        })
    }

    fn foregone_error(&self, test: &TestSyntax, always: bool) -> Diagnostic {
        let (title, text) = if always {
            ("this test is always true", "true of every value")
        } else {
            ("this test is never true", "true of no value")
        };
        Diagnostic::error(title, self.source, test.span.clone(), text)
    }

    fn masked(
        &mut self,
        test: &TestSyntax,
        target: Target,
        mask: &Value,
        operator: Comparator,
        value: &Value,
    ) -> Option<Condition> {
        let (mask_bits, value_bits) = (self.bits(target, mask), self.bits(target, value));
        let (mask_bits, value_bits) = (mask_bits?, value_bits?);
        if mask_bits == 0 {
            let title = "the mask has no bits";
            self.findings.push(
                Diagnostic::error(title, self.source, mask.span.clone(), "zero")
                    .help(format!("compare the whole argument: `{} == 0`", target.argument.name)),
            );
            return None;
        }
        let stray = value_bits & !mask_bits;
        if stray != 0 {
            let error = self.foregone_error(test, operator == Comparator::NotEqual);
            self.findings.push(error.help(format!("the value has bits outside the mask: {stray:#x}")));
            return None;
        }
        let test = target.test(Relation::Masked { mask: mask_bits, value: value_bits });
        Some(if operator == Comparator::NotEqual { Condition::Not(Box::new(test)) } else { test })
    }

    fn in_bits(&mut self, test: &TestSyntax, target: Target, mask: &Value) -> Option<Condition> {
        let outside = self.bits(target, mask)?;
        if outside == 0 {
            let error = self.foregone_error(test, true);
            self.findings
                .push(error.help("no bit is outside the mask; take the test away or correct the mask"));
            return None;
        }
        Some(target.test(Relation::Masked { mask: outside, value: 0 }))
    }

    fn one_of(&mut self, target: Target, members: &[Value], span: &Span) -> Option<Condition> {
        if members.is_empty() {
            let error = Diagnostic::error("the set is empty", self.source, span.clone(), "no value is in it");
            self.findings.push(error.help("name at least one value: `in {A, B}`"));
            return None;
        }
        let mut seen: HashMap<Condition, Span> = HashMap::new();
        let mut conditions = Vec::new();
        let mut good = true;
        for member in members {
            let Some(condition) = self.member(target, member) else {
                good = false;
                continue;
            };
            if let Some(first) = seen.get(&condition) {
                let title = format!("`{member}` is in the set twice");
                self.findings.push(
                    Diagnostic::error(title, self.source, member.span.clone(), "again here")
                        .context(self.source, first.clone(), "the same value")
                        .help("take one of the two away"),
                );
                good = false;
                continue;
            }
            seen.insert(condition.clone(), member.span.clone());
            conditions.push(condition);
        }
        good.then(|| if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions) })
    }

    fn member(&mut self, target: Target, member: &Value) -> Option<Condition> {
        if let [Term::Slot(name)] = member.terms.as_slice() {
            let slot = self.slot(target, name)?;
            return Some(in_range(target, slot.first, slot.last));
        }
        Some(target.test(Relation::Equal(self.value(target, member)?)))
    }

    /// A value to compare with: no complement, and a slot only if it is one descriptor.
    fn value(&mut self, target: Target, value: &Value) -> Option<u64> {
        if value.complement {
            let title = "`~` makes masks, not values";
            self.findings.push(
                Diagnostic::error(title, self.source, value.span.clone(), "a complement").help(format!(
                    "write `{} in {value}` for no bit outside it, or the value itself",
                    target.argument.name
                )),
            );
            return None;
        }
        self.bits(target, value)
    }

    /// Terms or-ed, complemented if asked.
    fn bits(&mut self, target: Target, value: &Value) -> Option<u64> {
        let terms: Vec<_> = value.terms.iter().map(|term| self.term(target, term, value)).collect();
        let bits = terms.into_iter().try_fold(0, |bits, term| Some(bits | term?))?;
        Some(if value.complement { !bits & target.argument.width.mask() } else { bits })
    }

    fn term(&mut self, target: Target, term: &Term, whole: &Value) -> Option<u64> {
        let found = match term {
            Term::Number(number) => value::positive(self.source, number, &target.argument),
            Term::Negative(number, span) => value::negative(self.source, number, span, &target.argument),
            Term::Constant(name) if self.call.argument(&name.text).is_some() => {
                Err(self.argument_as_value(name))
            }
            Term::Constant(name) => value::constant(self.source, name, self.arch, &target.argument),
            Term::Slot(name) if whole.terms.len() > 1 || whole.complement => Err(self.slot_in_bits(name)),
            Term::Slot(name) => {
                let slot = self.slot(target, name)?;
                if slot.first == slot.last {
                    Ok(u64::from(slot.first))
                } else {
                    Err(self.range_as_value(name, slot))
                }
            }
        };
        found.map_err(|error| self.findings.push(error)).ok()
    }

    fn argument_as_value(&self, name: &Name) -> Diagnostic {
        let title = "two arguments cannot be compared";
        Diagnostic::error(title, self.source, name.span.clone(), "an argument, not a constant")
            .help("a filter compares an argument with constants only")
    }

    fn slot_in_bits(&self, name: &Name) -> Diagnostic {
        let title = "a slot is a number, not a set of bits";
        Diagnostic::error(title, self.source, name.span.clone(), "this slot")
            .help("use it alone: `== @slot`, `in @slot` or `in {@a, @b}`")
    }

    fn range_as_value(&self, name: &Name, slot: &Slot) -> Diagnostic {
        let title = format!("slot `{}` is a range of descriptors", slot.name);
        let text = format!("{} to {}", slot.first, slot.last);
        Diagnostic::error(title, self.source, name.span.clone(), text)
            .help(format!("write `in @{}`", slot.name))
    }

    /// A slot by name, for an argument that may be a descriptor.
    fn slot(&mut self, target: Target, name: &Name) -> Option<&'a Slot> {
        let slots = self.slots;
        let Some(slot) = slots.find(&name.text) else {
            self.findings.extend(slots.unknown(self.source, name));
            return None;
        };
        if target.argument.is_pointer() || target.argument.c_type == "size_t" {
            let (argument, call) = (target.argument.name, self.call.name);
            let title = format!("`{argument}` of `{call}` is not a descriptor");
            let error = Diagnostic::error(title, self.source, name.span.clone(), "a descriptor's number");
            let descriptors: Vec<_> = self.call.descriptors().map(|(_, argument)| argument.name).collect();
            self.findings.push(if descriptors.is_empty() {
                error.help(format!("`{call}` takes no descriptor; compare with a number"))
            } else {
                error.help(format!("the descriptor of `{call}` is {}", suggest::list(descriptors)))
            });
            return None;
        }
        Some(slot)
    }

    fn unknown_argument(&self, test: &TestSyntax) -> Diagnostic {
        let name = &test.argument;
        if let Some(turned) = self.turned(test) {
            let title = "the constant stands on the left";
            return Diagnostic::error(title, self.source, test.span.clone(), "arguments come first")
                .help(format!("write `{turned}`"));
        }
        let call = self.call.name;
        if let Some(register) = register(&name.text) {
            let title = format!("`{call}` has no argument `{}`", name.text);
            return Diagnostic::error(title, self.source, name.span.clone(), "a register, not a name")
                .help(format!("write `{}`", self.call.argument_at(register).name));
        }
        let arguments = || self.call.arguments.iter().map(|argument| argument.name);
        if self.call.arguments.is_empty() {
            let title = format!("`{call}` has no arguments");
            return Diagnostic::error(title, self.source, test.span.clone(), "nothing to compare")
                .help(format!("write `{call}: -- reason`"));
        }
        let title = format!("`{call}` has no argument `{}`", name.text);
        let error = Diagnostic::error(title, self.source, name.span.clone(), "unknown argument");
        match suggest::closest(&name.text, arguments()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("the arguments of `{call}` are {}", suggest::list(arguments()))),
        }
    }

    /// `CONSTANT == argument` the right way round.
    fn turned(&self, test: &TestSyntax) -> Option<String> {
        let (Comparison::Compare { operator, value, .. }, None) = (&test.comparison, &test.mask) else {
            return None;
        };
        let [Term::Constant(right)] = value.terms.as_slice() else { return None };
        self.call.argument(&right.text)?;
        Some(format!("{} {} {}", right.text, operator.turned().text(), test.argument.text))
    }
}

/// The register that other policy languages call `arg0` to `arg5`, or this one `register0` to `register5`.
fn register(name: &str) -> Option<u8> {
    let number = name.strip_prefix("arg").or_else(|| name.strip_prefix("register"))?;
    number.parse().ok().filter(|number| usize::from(*number) < syscalls::REGISTERS.len())
}

/// `first <= argument <= last`
fn in_range(target: Target, first: u32, last: u32) -> Condition {
    let (first, last) = (u64::from(first), u64::from(last));
    if first == last {
        return target.test(Relation::Equal(first));
    }
    let upper = target.test(Relation::LessOrEqual(last));
    if first == 0 {
        return upper;
    }
    Condition::All(vec![target.test(Relation::GreaterOrEqual(first)), upper])
}

/// The sign bit of an argument.
const fn top_bit(argument: &Argument) -> u64 {
    argument.width.mask() / 2 + 1
}
