//! How often calls are made.

use crate::action::Action;
use crate::profile::Profile;
use crate::syscalls::Syscall;

/// What a call that hardly matters counts for, of one that does: one that the action cache answers, one that no profile
/// saw, one that is refused with an error number.
const LITTLE: f64 = 1.0 / 1024.0;

/// What is known of how often calls are made, and of the kernel that will run the program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights<'a> {
    /// Every call as often as any other, and the program runs for each: a kernel without the action cache
    /// (before Linux 5.11).
    Uniform,
    /// As often as a profile says, and the program runs for each: a kernel without the action cache.
    Profile(&'a Profile),
    /// The kernel's action cache answers the calls that are allowed whatever their arguments. The program runs for the
    /// others: as often as the profile says, or without one each as often as any other.
    CacheAware(Option<&'a Profile>),
}

impl Default for Weights<'_> {
    fn default() -> Self {
        Self::CacheAware(None)
    }
}

impl Weights<'_> {
    /// How the weight of a call is divided among so many alternatives, in the order of the text.
    ///
    /// A profile counts calls, not arguments: where calls are counted, the first alternative is taken to be twice as
    /// frequent as all others together, and so on. Were it only as frequent, a test in front for it alone would pay for
    /// none but two alternatives, and the others would cost it an instruction.
    #[expect(clippy::cast_precision_loss, reason = "a policy has thousands of alternatives at most")]
    pub(super) fn divide(&self, weight: f64, alternatives: usize) -> Vec<f64> {
        match self {
            Self::Uniform | Self::CacheAware(None) => vec![weight / alternatives as f64; alternatives],
            Self::Profile(_) | Self::CacheAware(Some(_)) => {
                let left = std::iter::successors(Some(weight), |left| Some(left / 3.0));
                let mut shares: Vec<f64> = left.take(alternatives).map(|left| left * 2.0 / 3.0).collect();
                if let Some(last) = shares.last_mut() {
                    *last *= 1.5;
                }
                shares
            }
        }
    }

    /// How often the program runs for the call; `constant` is its action where that is one for all arguments.
    pub(super) fn of(&self, call: &Syscall, constant: Option<Action>) -> f64 {
        let seen = match self {
            Self::Uniform | Self::CacheAware(None) => 1.0,
            Self::Profile(profile) | Self::CacheAware(Some(profile)) => {
                profile.share(call.name).max(LITTLE * LITTLE)
            }
        };
        match (self, constant) {
            (Self::CacheAware(_), Some(Action::Allow)) => LITTLE * seen,
            (_, Some(action)) if action != Action::Allow => LITTLE * seen,
            _ => seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let text = "workload w\nkernel 6.18\ndate 2026-11-24\nread 3\nioctl 1\n";
        Profile::from_text("test.profile", text).unwrap()
    }

    fn call(name: &str) -> &'static Syscall {
        crate::syscalls::by_name(crate::syscalls::Arch::X86_64, name).unwrap()
    }

    fn is_near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn counts_weigh_as_parts_of_all_that_were_counted() {
        assert!(is_near(Weights::Profile(&profile()).of(call("read"), None), 0.75));
        assert!(is_near(Weights::Uniform.of(call("read"), None), 1.0));
        assert!(Weights::Profile(&profile()).of(call("write"), None) > 0.0, "never seen, but allowed");
    }

    #[test]
    fn a_call_that_the_cache_answers_hardly_counts_where_there_is_a_cache() {
        let always = Some(Action::Allow);
        let profile = profile();
        assert!(is_near(Weights::Profile(&profile).of(call("read"), always), 0.75));
        assert!(Weights::CacheAware(Some(&profile)).of(call("read"), always) < 0.001);
        assert!(is_near(Weights::CacheAware(Some(&profile)).of(call("ioctl"), None), 0.25));
    }

    #[test]
    fn refused_calls_hardly_count_with_or_without_a_cache() {
        for weights in [Weights::Uniform, Weights::CacheAware(None)] {
            assert!(weights.of(call("read"), Some(Action::Errno(2))) < 0.001);
        }
    }

    #[test]
    fn the_first_of_counted_alternatives_is_twice_as_frequent_as_the_others_together() {
        let shares = Weights::Profile(&profile()).divide(27.0, 4);
        assert!(shares.iter().zip([18.0, 6.0, 2.0, 1.0]).all(|(share, expected)| is_near(*share, expected)));
        assert_eq!(Weights::Uniform.divide(8.0, 4), [2.0; 4]);
    }
}
