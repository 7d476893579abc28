//! Constants that belong together, and how a number is written with them.

use crate::syscalls::Arch;

/// A named number of a header.
#[derive(Debug, PartialEq, Eq)]
pub struct Constant {
    /// Its name in the header.
    pub name: &'static str,
    x86_64: Option<i64>,
    aarch64: Option<i64>,
}

impl Constant {
    pub(super) const fn new(name: &'static str, x86_64: Option<i64>, aarch64: Option<i64>) -> Self {
        Self { name, x86_64, aarch64 }
    }

    /// Its value on an architecture, if it exists there.
    pub const fn value(&self, arch: Arch) -> Option<i64> {
        match arch {
            Arch::X86_64 => self.x86_64,
            Arch::Aarch64 => self.aarch64,
        }
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
    /// The constants.
    pub constants: &'static [Constant],
}

impl Family {
    /// The first constant of this value.
    pub fn named(&self, arch: Arch, value: i64) -> Option<&'static str> {
        self.constants
            .iter()
            .find(|constant| constant.value(arch) == Some(value))
            .map(|constant| constant.name)
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
        let mut flags: Vec<_> =
            self.constants.iter().filter_map(|it| Some((it.name, it.value(arch)?))).collect();
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
            use $crate::constants::family::{Constant, Family, Kind, from_libc};
            #[allow(dead_code)]
            const KIND: Kind = $kind;
            Family { kind: $kind, constants: &[
                $($({
                    #[allow(clippy::cast_lossless, clippy::cast_possible_wrap, reason = "libc has many types")]
                    const VALUE: i64 = from_libc(libc::$libc as i64, KIND);
                    Constant::new(stringify!($libc), Some(VALUE), Some(VALUE))
                },)*)?
                $($(Constant::new(stringify!($same), Some($both), Some($both)),)*)?
                $($(Constant::new(stringify!($each), Some($x86), Some($arm)),)*)?
                $($(Constant::new(stringify!($x86_name), Some($x86_value), None),)*)?
                $($(Constant::new(stringify!($arm_name), None, Some($arm_value)),)*)?
            ] }
        };
    };
}
pub(super) use family;
