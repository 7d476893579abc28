//! An argument and the numbers that it is compared with.

use crate::constants;
use crate::language::policy::{Slot, Width};
use crate::syscalls::{Arch, Argument, Syscall};

/// The largest error number that a call returns, as its negative: numbers nearer to zero than this are written with
/// a sign. `MAX_ERRNO`, Linux `include/linux/err.h`.
const SMALL: u64 = 4095;
/// Numbers from here on are in hexadecimal where nothing speaks for decimal.
const LARGE: u64 = 1024;

/// What a test compares.
pub(super) struct Subject<'a> {
    pub(super) arch: Arch,
    pub(super) call: &'static Syscall,
    /// In the width that is compared.
    pub(super) argument: Argument,
    /// The argument's own width.
    pub(super) natural: Width,
    pub(super) slots: &'a [Slot],
}

impl Subject<'_> {
    /// The argument, with a type where its own width is not the one that is compared.
    pub(super) fn text(&self) -> String {
        let Argument { name, width, .. } = self.argument;
        if width == self.natural { name.to_owned() } else { format!("{name}:{}", width.type_name()) }
    }

    /// The slots that the argument can hold.
    pub(super) fn slots(&self) -> &[Slot] {
        if self.argument.is_descriptor() { self.slots } else { &[] }
    }

    /// A value that the argument is, or is not.
    pub(super) fn value(&self, value: u64) -> String {
        let is_slot = |slot: &&Slot| slot.first == slot.last && u64::from(slot.first) == value;
        if let Some(slot) = self.slots().iter().find(is_slot) {
            return format!("@{}", slot.name);
        }
        constants::name_of(self.arch, self.call, &self.argument, value).unwrap_or_else(|| self.signed(value))
    }

    /// A value that the argument is above or below: never negative, and no flags.
    pub(super) fn bound(&self, value: u64) -> String {
        let mut families = constants::families(self.call, &self.argument).iter();
        let is_positive = |name: &String| constants::value(self.arch, name).is_some_and(|value| value > 0);
        let name = if families.all(|family| family.kind == constants::Kind::Values) {
            constants::name_of(self.arch, self.call, &self.argument, value).filter(is_positive)
        } else {
            None
        };
        name.unwrap_or_else(|| self.number(value))
    }

    /// A comparison of the bits of a mask.
    pub(super) fn masked(&self, mask: u64, operator: &str, value: u64) -> String {
        let outside = !mask & self.argument.width.mask();
        if value == 0 && operator == "==" && mask.count_ones() > outside.count_ones() {
            return format!("{} in ~{}", self.text(), self.group(outside));
        }
        let bits = if mask.count_ones() > outside.count_ones() {
            format!("~{}", self.group(outside))
        } else {
            self.mask(mask)
        };
        let value = if value == mask && !bits.starts_with('~') {
            bits.clone()
        } else {
            constants::name_under_mask(self.arch, self.call, &self.argument, mask, value)
                .unwrap_or_else(|| self.number(value))
        };
        format!("({} & {bits}) {operator} {value}", self.text())
    }

    /// A mask after `~`.
    fn group(&self, mask: u64) -> String {
        let text = self.mask(mask);
        if text.contains('|') { format!("({text})") } else { text }
    }

    fn mask(&self, mask: u64) -> String {
        constants::name_of_mask(self.arch, self.call, &self.argument, mask)
            .unwrap_or_else(|| if mask < 10 { mask.to_string() } else { format!("{mask:#x}") })
    }

    /// A number, with a sign where it is the two's complement of a small one and its type suggests that.
    fn signed(&self, value: u64) -> String {
        let opposite = value.wrapping_neg() & self.argument.width.mask();
        let has_sign = matches!(
            self.argument.c_type,
            "int" | "pid_t" | "long" | "loff_t" | "off_t" | "clockid_t" | "const_clockid_t" | "timer_t"
        );
        if (has_sign || self.argument.is_descriptor()) && value != 0 && opposite <= SMALL {
            return format!("-{opposite}");
        }
        self.number(value)
    }

    fn number(&self, value: u64) -> String {
        let is_count = self.argument.name.ends_with("len") || self.argument.name.ends_with("size");
        match self.argument.c_type {
            "umode_t" if value > 0 => format!("0{value:o}"),
            "size_t" => value.to_string(),
            _ if value < LARGE || is_count || self.argument.is_descriptor() => value.to_string(),
            _ => format!("{value:#x}"),
        }
    }
}
