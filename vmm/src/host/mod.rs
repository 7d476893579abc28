//! What this host offers and lacks for each of the program's jobs, and what to do about it.
//!
//! Nothing is changed and nothing is started: a check reads a file, opens a device or asks the kernel for a version.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

mod audit;
mod measure;
mod run;
pub mod text;

/// What the program is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// Run a guest image confined.
    Run,
    /// Look at what threads may do and do.
    Audit,
    /// Measure what confinement costs.
    Measure,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there.
    Ok,
    /// It is there in part, or something works differently for lack of it.
    Limited,
    /// The job cannot be done without it.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The job that it matters to.
    pub job: Job,
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What it means for the job.
    pub meaning: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}

impl Check {
    fn ok(job: Job, name: &'static str, found: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { job, name, state: State::Ok, found: found.into(), meaning: meaning.into(), remedy: None }
    }

    fn lack(self, state: State, remedy: impl Into<String>) -> Self {
        Self { state, remedy: Some(remedy.into()), ..self }
    }
}

/// All checks, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether `run` can work here.
    pub can_run: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Looks at this host.
    pub fn gather() -> Self {
        Self::of(&Host::here())
    }

    fn of(host: &Host) -> Self {
        let checks = [run::checks(host), audit::checks(host), measure::checks(host)].concat();
        let can_run = !checks.iter().any(|check| check.job == Job::Run && check.state == State::Missing);
        Self { can_run, checks }
    }
}

/// Where the kernel's files are found, and what only a system call tells.
#[derive(Clone, Debug)]
struct Host {
    root: PathBuf,
    landlock_abi: Option<u32>,
}

/// Capability bits (Linux include/uapi/linux/capability.h).
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;

impl Host {
    fn here() -> Self {
        Self { root: PathBuf::from("/"), landlock_abi: landlock_abi() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn has(&self, path: &str) -> bool {
        fs::exists(self.path(path)).unwrap_or(false)
    }

    /// The trimmed contents of a file; none where it is missing or may not be read.
    fn read(&self, path: &str) -> Option<String> {
        read(&self.path(path))
    }

    /// A number from a file.
    fn number(&self, path: &str) -> Option<i64> {
        self.read(path)?.parse().ok()
    }

    /// Whether this process has a capability (bit `number` of `CapEff` in its status).
    fn capable(&self, number: u32) -> bool {
        let status = self.read("/proc/self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0);
        bits >> number & 1 == 1
    }

    /// Seccomp actions that the kernel has.
    fn seccomp_actions(&self) -> Vec<String> {
        let actions = self.read("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
        actions.split_whitespace().map(str::to_owned).collect()
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The version of Landlock's interface (Linux Documentation/userspace-api/landlock.rst, "Creating a new ruleset").
fn landlock_abi() -> Option<u32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`, include/uapi/linux/landlock.h.
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no attribute (a null pointer of size 0 is what it demands), makes no
    // descriptor, and returns a number.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
    u32::try_from(version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host made of files.
    pub(super) fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host { root: root.path().to_owned(), landlock_abi: None };
        for (path, contents) in files {
            let path = host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        (root, host)
    }

    /// The check of that name.
    pub(super) fn named(checks: Vec<Check>, name: &str) -> Check {
        let found = checks.into_iter().find(|check| check.name == name);
        found.unwrap_or_else(|| panic!("no check {name}"))
    }

    #[test]
    fn capabilities_are_bits_of_the_effective_set() {
        let (_root, host) =
            host(&[("/proc/self/status", "CapPrm:\tffff\nCapEff:\t0000000000200000\nCapBnd:\tff")]);
        assert!(host.capable(CAP_SYS_ADMIN));
        assert!(!host.capable(CAP_SYS_PTRACE));
        assert!(!host.capable(CAP_PERFMON));
    }

    #[test]
    fn host_without_any_of_it_cannot_run_and_every_lack_says_what_to_do() {
        let (_root, host) = host(&[]);
        let report = Report::of(&host);
        assert!(!report.can_run);
        for check in report.checks {
            assert_eq!(check.state == State::Ok, check.remedy.is_none(), "{check:?}");
        }
    }

    #[test]
    fn this_host_is_one_that_these_tests_can_run_on() {
        let report = Report::gather();
        let missing: Vec<_> = report.checks.iter().filter(|check| check.state == State::Missing).collect();
        assert!(report.can_run, "{missing:#?}");
    }

    #[test]
    fn json_names_job_state_and_remedy() {
        let check = Check::ok(Job::Audit, "thing", "absent", "no matter").lack(State::Limited, "get one");
        assert_eq!(
            serde_json::to_string(&check).unwrap(),
            r#"{"job":"audit","name":"thing","state":"limited","found":"absent","meaning":"no matter","remedy":"get one"}"#
        );
    }
}
