//! Constants that belong together, and how a number is written with them.

use crate::syscalls::Arch;

/// A named number of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Its name in the header.
    pub name: &'static str,
    entry: Entry,
}

impl Constant {
    /// Its value on an architecture, if it exists there.
    pub const fn value(&self, arch: Arch) -> Option<i64> {
        match arch {
            Arch::X86_64 => self.entry.x86_64,
            Arch::Aarch64 => self.entry.aarch64,
        }
    }
}

/// What a family keeps of a constant beside its name. It holds no pointer: a thousand of them were two thousand
/// relocations and 47 KiB of memory at every start of a position-independent binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    x86_64: Option<i64>,
    aarch64: Option<i64>,
    /// Bytes of the name.
    length: u8,
}

impl Entry {
    pub(super) const fn new(name: &'static str, x86_64: Option<i64>, aarch64: Option<i64>) -> Self {
        assert!(name.len() <= u8::MAX as usize, "the length of a name is a byte");
        #[expect(clippy::cast_possible_truncation, reason = "it fits, as was just asserted")]
        Self { x86_64, aarch64, length: name.len() as u8 }
    }
}

/// How the constants of a family make up a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The number is one of them.
    Values,
    /// The number is some of them or-ed. The bits of `field` together hold one of those that lie in it, as the access
    /// mode in the flags of `open` does.
    Flags {
        /// Bits that are one number.
        field: i64,
    },
}

/// Constants that belong together.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// How they make up a number.
    pub kind: Kind,
    /// The names of all constants, one after the other.
    pub(super) names: &'static str,
    pub(super) entries: &'static [Entry],
}

impl Family {
    /// The constants, in the order of the header.
    pub fn constants(&self) -> impl Iterator<Item = Constant> + use<> {
        let (mut names, entries) = (self.names, self.entries);
        entries.iter().map(move |&entry| {
            let (name, rest) = names.split_at(usize::from(entry.length));
            names = rest;
            Constant { name, entry }
        })
    }

    /// The first constant of this value.
    pub fn named(&self, arch: Arch, value: i64) -> Option<&'static str> {
        self.constants().find(|constant| constant.value(arch) == Some(value)).map(|constant| constant.name)
    }

    /// A number in the names of the family, bits without a name in hexadecimal; `None` if no name fits.
    pub fn text(&self, arch: Arch, value: i64) -> Option<String> {
        match self.kind {
            Kind::Values => self.named(arch, value).map(str::to_owned),
            Kind::Flags { field } => self.flags(arch, value, field),
        }
    }

    fn flags(&self, arch: Arch, value: i64, field: i64) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        let mut left = value;
        if let Some(name) = self.named(arch, value & field).filter(|_| field != 0 || value == 0) {
            names.push(name.to_owned());
            left &= !field;
        }
        let mut flags: Vec<_> = self.constants().filter_map(|it| Some((it.name, it.value(arch)?))).collect();
        flags.retain(|(_, flag)| *flag & !field != 0);
        // Flags of several bits first, since they contain others: O_SYNC contains O_DSYNC.
        flags.sort_by_key(|(_, flag)| std::cmp::Reverse(flag.count_ones()));
        for (name, flag) in flags {
            if left & flag == flag {
                names.push(name.to_owned());
                left &= !flag;
            }
        }
        if names.is_empty() {
            return None;
        }
        if left != 0 {
            names.push(format!("{left:#x}"));
        }
        Some(names.join("|"))
    }
}

/// A value of `libc`, which gives bit 31 of a flag as a sign.
pub(super) const fn from_libc(value: i64, kind: Kind) -> i64 {
    match kind {
        Kind::Flags { .. } => value & 0xffff_ffff,
        Kind::Values => value,
    }
}

/// Declares a family: `libc` names that are the same on both targets, `same` with a number for both, `each` with
/// `x86_64 / aarch64`, and those that only one target has.
macro_rules! family {
    (
        $(#[$doc:meta])* $family:ident: $kind:expr;
        $(libc { $($libc:ident)* })?
        $(same { $($same:ident = $both:expr;)* })?
        $(each { $($each:ident = $x86:literal / $arm:literal;)* })?
        $(x86_64 { $($x86_name:ident = $x86_value:expr;)* })?
        $(aarch64 { $($arm_name:ident = $arm_value:expr;)* })?
    ) => {
        $(#[$doc])*
        pub(super) const $family: $crate::constants::family::Family = {
            #[allow(unused_imports)]
            use $crate::constants::family::{Entry, Family, Kind, from_libc};
            #[allow(dead_code)]
            const KIND: Kind = $kind;
            Family {
                kind: $kind,
                names: concat!(
                    $($(stringify!($libc),)*)?
                    $($(stringify!($same),)*)?
                    $($(stringify!($each),)*)?
                    $($(stringify!($x86_name),)*)?
                    $($(stringify!($arm_name),)*)?
                ),
                entries: &[
                    $($({
                        #[allow(clippy::cast_lossless, clippy::cast_possible_wrap, reason = "libc has many types")]
                        const VALUE: i64 = from_libc(libc::$libc as i64, KIND);
                        Entry::new(stringify!($libc), Some(VALUE), Some(VALUE))
                    },)*)?
                    $($(Entry::new(stringify!($same), Some($both), Some($both)),)*)?
                    $($(Entry::new(stringify!($each), Some($x86), Some($arm)),)*)?
                    $($(Entry::new(stringify!($x86_name), Some($x86_value), None),)*)?
                    $($(Entry::new(stringify!($arm_name), None, Some($arm_value)),)*)?
                ],
            }
        };
    };
}
pub(super) use family;
