//! The policies that compilers are compared on: other projects' where they are at hand, and the monitor's own roles.
#![forbid(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};

use ringfence::role::policies::{io, main, vcpu};
use seccomp_policies::compile::Weights;
use seccomp_policies::embed::Embedded;
use seccomp_policies::import::{Options, read};
use seccomp_policies::language::{Checked, Diagnostics, Policy, check_sources};
use seccomp_policies::profile::Profile;
use seccomp_policies::syscalls::Arch;

/// Names the folder of other projects' policies.
pub const VARIABLE: &str = "POLICY_CORPORA";

/// Where such a folder is looked for where the variable is not set, from the package's folder.
const BESIDE_THE_PROJECT: &str = "../../shared/corpora";

/// A policy file of another project.
struct Foreign {
    name: &'static str,
    /// In the folder.
    file: &'static str,
    /// Of a file with several.
    role: Option<&'static str>,
}

const FIRECRACKER: &str = "firecracker-x86_64.json";

const FOREIGN: [Foreign; 5] = [
    Foreign { name: "Firecracker vmm", file: FIRECRACKER, role: Some("vmm") },
    Foreign { name: "Firecracker api", file: FIRECRACKER, role: Some("api") },
    Foreign { name: "Firecracker vcpu", file: FIRECRACKER, role: Some("vcpu") },
    Foreign { name: "crosvm block device", file: "minijail/block_device.policy", role: None },
    Foreign { name: "Docker default", file: "oci/docker-default.json", role: None },
];

const OWN: [(&str, &Embedded); 3] =
    [("ringfence vcpu", &vcpu::POLICY), ("ringfence io", &io::POLICY), ("ringfence main", &main::POLICY)];

/// Why there is no such policy.
#[derive(Debug, thiserror::Error)]
#[error("the policy {name} does not hold:\n{findings}")]
pub struct Error {
    /// The policy.
    pub name: &'static str,
    /// What is wrong with it.
    pub findings: Box<Diagnostics>,
}

/// A policy with its name for a table.
#[derive(Clone, Debug)]
pub struct Named {
    /// As tables have it.
    pub name: &'static str,
    /// For `x86_64`.
    pub policy: Policy,
    /// How often each call is made, where that was measured.
    pub profile: Option<Profile>,
}

impl Named {
    /// The weights that the build compiles the policy by, or would.
    pub fn weights(&self) -> Weights<'_> {
        Weights::CacheAware(self.profile.as_ref())
    }
}

/// The folder that [`VARIABLE`] names, or else the one beside the project if there is one.
pub fn corpora() -> Option<PathBuf> {
    let beside =
        || Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(BESIDE_THE_PROJECT)).filter(|path| path.is_dir());
    env::var_os(VARIABLE).map(PathBuf::from).or_else(beside)
}

/// The policies of other projects in a folder that has each of them.
///
/// # Errors
/// An [`Error`] for the first that cannot be read or does not hold.
pub fn foreign(corpora: &Path) -> Result<Vec<Named>, Error> {
    let options = |role: Option<&str>| Options {
        role: role.map(str::to_owned),
        arch: Some(Arch::X86_64),
        roots: vec![corpora.join("minijail")],
        ..Options::default()
    };
    let named = |Foreign { name, file, role }: &Foreign| {
        let imported = read(&corpora.join(file), None, &options(*role))
            .map_err(|findings| Error { name, findings: Box::new(findings) })?;
        Ok(imported.policies.into_iter().map(|policy| Named { name, policy, profile: None }))
    };
    FOREIGN.iter().map(named).collect::<Result<Vec<_>, _>>().map(|read| read.into_iter().flatten().collect())
}

/// The monitor's roles that have a program, as they are embedded.
///
/// # Errors
/// None unless the build embeds what does not hold.
pub fn own() -> Result<Vec<Named>, Error> {
    let named = |(name, embedded): (&'static str, &Embedded)| {
        let Checked { policy, profile, .. } =
            check_sources(embedded.sources[0].0, embedded.sources, Arch::X86_64)
                .map_err(|findings| Error { name, findings: Box::new(findings) })?;
        Ok(Named { name, policy, profile })
    };
    OWN.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitors_roles_come_with_the_profile_that_they_are_compiled_by() {
        let own = own().unwrap();
        assert_eq!(
            own.iter().map(|named| named.policy.role.as_str()).collect::<Vec<_>>(),
            ["vcpu", "io", "main"]
        );
        assert!(own.iter().all(|named| named.profile.is_some()));
    }

    #[test]
    fn each_policy_of_another_project_is_one_under_its_name() {
        let Some(corpora) = corpora() else {
            println!(
                "not run: there are no policies of other projects here; {VARIABLE} may name their folder"
            );
            return;
        };
        let found = foreign(&corpora).unwrap();
        assert_eq!(
            found.iter().map(|named| named.name).collect::<Vec<_>>(),
            FOREIGN.iter().map(|foreign| foreign.name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_folder_without_them_is_an_error_that_names_the_policy_and_the_file() {
        let error = foreign(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.contains("Firecracker vmm") && error.contains("/nonexistent"), "{error}");
    }
}
