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

    /// The number's logarithm to base 2; minus infinity of zero.
    #[expect(clippy::cast_precision_loss, reason = "64 bits of the number leave its logarithm exact enough")]
    pub fn log2(&self) -> f64 {
        let shift = self.0.bits().saturating_sub(64);
        let leading = (&self.0 >> shift).iter_u64_digits().next().unwrap_or(0);
        (leading as f64).log2() + shift as f64
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = self.0.trailing_zeros().unwrap_or(0);
        let odd = &self.0 >> power;
        if self.0.bits() <= 32 {
            write!(f, "{}", self.0)
        } else if odd.bits() == 1 {
            write!(f, "2^{power}")
        } else if odd.bits() <= 32 {
            write!(f, "{odd} * 2^{power}")
        } else {
            write!(f, "about 2^{:.1}", self.log2())
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
}
