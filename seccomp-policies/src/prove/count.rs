//! How many calls a set has.

use std::fmt;

use num_bigint::BigUint;

/// A number of calls, exact: up to 2^512.
///
/// Written in decimal up to 2^32, else as an odd number times a power of two, and where that is long, rounded to the
/// nearest tenth of a power of two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub(super) BigUint);

impl Count {
    /// The number in binary digits, lowest byte first.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0.to_bytes_le()
    }

    /// Its logarithm to base 2 in tenths, rounded to the nearest; of 1 or more.
    ///
    /// By whole numbers, and so exact; and a logarithm of floating-point numbers would be all for which the monitor needs libm, which
    /// would be loaded at each start. (For the same reason no number here is written by `BigUint`'s own means.)
    fn tenths_of_log2(&self) -> u64 {
        let twentieths = self.0.pow(20).bits().saturating_sub(1);
        twentieths.div_ceil(2)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = self.0.trailing_zeros().unwrap_or(0);
        let small = |number: &BigUint| u32::try_from(number).ok();
        if let Some(number) = small(&self.0) {
            write!(f, "{number}")
        } else if let Some(odd) = small(&(&self.0 >> power)) {
            if odd == 1 { write!(f, "2^{power}") } else { write!(f, "{odd} * 2^{power}") }
        } else {
            let tenths = self.tenths_of_log2();
            write!(f, "about 2^{}.{}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_written_as_short_as_it_can_be() {
        let text = |odd: u64, power: u32| Count(BigUint::from(odd) << power).to_string();
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(1, 0), "1");
        assert_eq!(text(3, 10), "3072");
        assert_eq!(text(1, 512), "2^512");
        assert_eq!(text(5, 384), "5 * 2^384");
        assert_eq!(text(u64::MAX, 100), "about 2^164.0");
    }

    #[test]
    fn a_logarithm_is_rounded_to_the_nearest_tenth() {
        // 2^0.05 is 1.0353, 2^0.15 is 1.1096, 2^0.95 is 1.9319: the bounds between tenths.
        for (thousandths, tenths) in
            [(1000_u64, 0), (1035, 0), (1036, 1), (1109, 1), (1110, 2), (1931, 9), (1932, 10), (1999, 10)]
        {
            let number = (BigUint::from(thousandths) << 1000_u32) / 1000_u32;
            assert_eq!(Count(number).tenths_of_log2(), 10_000 + tenths, "{thousandths}");
        }
    }
}
