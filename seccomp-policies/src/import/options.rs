//! What an import depends on besides the file.

use std::path::PathBuf;
use std::str::FromStr;

use super::minijail::Dialect;
use crate::syscalls::Arch;

/// What an import depends on besides the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The architecture that is asked for. Without one it is `x86_64`, and what the file says of others is lost.
    pub arch: Option<Arch>,
    /// Capabilities of the process, as in `CAP_SYS_ADMIN`: rules of OCI profiles depend on them.
    pub capabilities: Vec<String>,
    /// The kernel that the policy is for: rules of OCI profiles depend on it. Without one, every version that a
    /// profile asks for is taken as met.
    pub kernel: Option<KernelVersion>,
    /// A constants.json of minijail: names that its policies may use besides those of the headers.
    pub constants: Option<PathBuf>,
    /// Which of minijail's two readers a policy of minijail is for; needed where they differ.
    pub dialect: Option<Dialect>,
    /// Folders besides the policy's own that included files may be in; in policies of minijail an absolute path is looked
    /// for below each.
    pub roots: Vec<PathBuf>,
    /// Of a file with several threads, the one that is wanted; for another file, the role's name.
    pub role: Option<String>,
    /// Take what cannot be expressed as lost, with a warning for each, instead of refusing the file.
    pub lossy: bool,
    /// Compare only the bits of an argument that the kernel reads, where the file compares 64.
    pub kernel_widths: bool,
}

impl Options {
    /// The architecture of the policy.
    pub fn target(&self) -> Arch {
        self.arch.unwrap_or(Arch::X86_64)
    }
}

/// Version and patch level of a kernel, as in 6.18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

impl FromStr for KernelVersion {
    type Err = String;

    /// Reads `6.18`, or a release such as `6.18.3-cloud`, of which the first two numbers count.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('.');
        let mut next = |what: &str| {
            let digits = numbers.next().unwrap_or_default();
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().map_err(|_| format!("`{text}` has no {what}; write it as in 6.18"))
        };
        Ok(Self { major: next("version")?, minor: next("patch level")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_has_two_numbers_and_they_compare_as_numbers() {
        let version = |text: &str| text.parse::<KernelVersion>();
        assert_eq!(version("4.8"), Ok(KernelVersion { major: 4, minor: 8 }));
        assert_eq!(version("6.18.3-cloud"), Ok(KernelVersion { major: 6, minor: 18 }));
        assert_eq!(version("6.1-rc2"), Ok(KernelVersion { major: 6, minor: 1 }));
        assert!(version("4.10") > version("4.8"));
        assert_eq!(version("4"), Err("`4` has no patch level; write it as in 6.18".to_owned()));
        assert_eq!(version(""), Err("`` has no version; write it as in 6.18".to_owned()));
    }
}
