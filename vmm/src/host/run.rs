//! What running a guest confined needs: KVM, memory, seccomp.
#![forbid(unsafe_code)]

use kvm_ioctls::{Cap, Kvm};

use super::{Check, Host, Job, State};
use crate::machine::kvm::{self, KvmError};
use crate::machine::quirk;

/// Memory that a Linux guest takes without being asked for less, in MiB.
const GUEST_MIB: u64 = 128;

/// The actions of filters, in the kernel's names, that the monitor's own use: one for each `--on-violation`.
const ACTIONS: [&str; 4] = ["trap", "kill_process", "errno", "log"];

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = kvm_checks(host);
    checks.extend([memory(host), huge_pages(host), seccomp(host), landlock(host)]);
    checks
}

fn kvm_checks(host: &Host) -> Vec<Check> {
    let path = host.path(kvm::DEVICE);
    match kvm::open_at(&path.to_string_lossy()) {
        Ok(kvm) => vec![device(&kvm), deadline_timer(&kvm), quirks()],
        Err(error) => vec![no_device(&error)],
    }
}

fn no_device(error: &KvmError) -> Check {
    let meaning = "no guest can be run";
    Check::ok(Job::Run, "KVM", error.problem(), meaning).lack(State::Missing, error.remedy())
}

fn device(kvm: &Kvm) -> Check {
    let found = format!(
        "{} opens, version {} of the interface, every capability that is needed, {} vCPUs at most",
        kvm::DEVICE,
        kvm.get_api_version(),
        kvm.get_max_vcpus().min(crate::machine::MAX_VCPUS.into()),
    );
    Check::ok(Job::Run, "KVM", found, "guests can be run")
}

fn deadline_timer(kvm: &Kvm) -> Check {
    let name = "deadline timer";
    if kvm.check_extension(Cap::TscDeadlineTimer) {
        return Check::ok(Job::Run, name, "KVM has it", "guests set their timers with one register write");
    }
    Check::ok(Job::Run, name, "KVM has none", "guests use slower timers")
        .lack(State::Limited, "use a processor with a TSC deadline timer, or ignore it")
}

fn quirks() -> Check {
    match quirk::detect() {
        None => Check::ok(Job::Run, "quirks", "none", "guests run as on any KVM"),
        Some(quirk) => {
            let meaning =
                "it is recognized; Linux guests need a kernel with this project's patch, and are slow";
            let found = format!("{}: {}", quirk.name(), quirk.description());
            Check::ok(Job::Run, "quirks", found, meaning)
                .lack(State::Limited, "use a host with VMX or SVM for ordinary guests")
        }
    }
}

fn memory(host: &Host) -> Check {
    let info = host.read("/proc/meminfo").unwrap_or_default();
    let kib = info.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next());
    let mib = kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024;
    let check = Check::ok(Job::Run, "memory", format!("{mib} MiB available"), "guests can have that much");
    if mib >= GUEST_MIB {
        return check;
    }
    let meaning = format!("less than the {GUEST_MIB} MiB of a usual guest");
    Check { meaning, ..check }.lack(State::Limited, "free memory, or give guests less with --memory")
}

fn huge_pages(host: &Host) -> Check {
    let free = host.number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").unwrap_or(0);
    let transparent = host.read("/sys/kernel/mm/transparent_hugepage/enabled");
    let transparent = transparent.is_some_and(|modes| !modes.contains("[never]"));
    let name = "huge pages";
    let found = format!("{free} of 2 MiB free, transparent ones {}", if transparent { "on" } else { "off" });
    if transparent || free > 0 {
        return Check::ok(Job::Run, name, found, "guests can ask for them");
    }
    Check::ok(Job::Run, name, found, "guests get base pages alone").lack(
        State::Limited,
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, or reserve some in /proc/sys/vm/nr_hugepages",
    )
}

fn seccomp(host: &Host) -> Check {
    let actions = host.seccomp_actions();
    let lacking: Vec<_> = ACTIONS.into_iter().filter(|action| !actions.iter().any(|a| a == action)).collect();
    let name = "seccomp filters";
    if actions.is_empty() {
        return Check::ok(Job::Run, name, "the kernel has none", "threads cannot be confined")
            .lack(State::Missing, "use a kernel with CONFIG_SECCOMP_FILTER, 5.9 or later");
    }
    if lacking.is_empty() {
        return Check::ok(
            Job::Run,
            name,
            format!("actions {}", ACTIONS.join(", ")),
            "threads can be confined",
        );
    }
    let meaning = "these ways to meet a violation do not work";
    Check::ok(Job::Run, name, format!("no action {}", lacking.join(", ")), meaning)
        .lack(State::Missing, "use Linux 5.9 or later")
}

fn landlock(host: &Host) -> Check {
    let name = "Landlock";
    match host.landlock_abi {
        Some(version) => Check::ok(
            Job::Run,
            name,
            format!("version {version} of the interface"),
            "files can be closed to the process without privilege",
        ),
        None => Check::ok(Job::Run, name, "the kernel has none", "the process jail is without it").lack(
            State::Limited,
            "use a kernel of 5.13 or later with landlock among the LSMs (lsm= on its command line)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{host, named};
    use super::*;

    #[test]
    fn device_that_is_missing_is_reported_as_run_reports_it() {
        let (_root, host) = host(&[]);
        let check = named(checks(&host), "KVM");
        let error = kvm::open_at(&host.path("/dev/kvm").to_string_lossy()).unwrap_err();
        assert_eq!(check.state, State::Missing);
        assert_eq!(format!("{}; {}", check.found, check.remedy.unwrap()), error.to_string());
    }

    #[test]
    fn kernel_without_one_of_our_actions_cannot_run() {
        let actions = "/proc/sys/kernel/seccomp/actions_avail";
        let check = |contents| {
            let (_root, host) = host(&[(actions, contents)]);
            seccomp(&host)
        };
        assert_eq!(check("kill_process kill_thread trap errno trace log allow\n").state, State::Ok);
        assert_eq!(check("kill_process trap errno allow\n").found, "no action log");
        assert_eq!(check("").state, State::Missing);
    }

    #[test]
    fn memory_is_what_is_available_and_not_what_is_free() {
        let (_root, host) = host(&[("/proc/meminfo", "MemFree: 1 kB\nMemAvailable:  204800 kB\n")]);
        assert_eq!((memory(&host).found.as_str(), memory(&host).state), ("200 MiB available", State::Ok));
    }

    #[test]
    fn huge_pages_are_there_if_either_kind_is() {
        let transparent = "/sys/kernel/mm/transparent_hugepage/enabled";
        let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
        let state = |mode, free| {
            let (_root, host) = host(&[(transparent, mode), (pool, free)]);
            huge_pages(&host).state
        };
        assert_eq!(state("always [madvise] never", "0"), State::Ok);
        assert_eq!(state("always madvise [never]", "3"), State::Ok);
        assert_eq!(state("always madvise [never]", "0"), State::Limited);
    }
}
