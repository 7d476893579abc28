//! What looking at threads needs: ptrace, privileges, tracepoints.
#![forbid(unsafe_code)]

use super::{CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE, Check, Host, Job, State};

pub(super) fn checks(host: &Host) -> Vec<Check> {
    vec![
        ptrace_scope(host),
        capabilities(host),
        get_filter(host),
        tracefs(host),
        perf_events(host),
        user_notification(host),
    ]
}

/// Yama's restriction (Linux Documentation/admin-guide/LSM/Yama.rst).
fn ptrace_scope(host: &Host) -> Check {
    let name = "ptrace";
    let file = "/proc/sys/kernel/yama/ptrace_scope";
    let privileged = host.capable(CAP_SYS_PTRACE);
    match host.number(file) {
        None | Some(0) => {
            Check::ok(Job::Audit, name, "not restricted", "processes of this user can be audited")
        }
        Some(scope @ (1 | 2)) if privileged => {
            let found = format!("restricted (scope {scope}), and this user is exempt (CAP_SYS_PTRACE)");
            Check::ok(Job::Audit, name, found, "every process can be audited")
        }
        Some(1) => Check::ok(
            Job::Audit,
            name,
            "restricted to children (scope 1)",
            "other processes cannot be audited",
        )
        .lack(State::Limited, format!("run as root, or echo 0 > {file}")),
        Some(2) => {
            Check::ok(Job::Audit, name, "restricted to administrators (scope 2)", "nothing can be audited")
                .lack(State::Missing, format!("run as root, or echo 0 > {file}"))
        }
        Some(scope) => {
            Check::ok(Job::Audit, name, format!("forbidden (scope {scope})"), "nothing can be audited")
                .lack(State::Missing, "start the host without this setting: it cannot be taken back")
        }
    }
}

fn capabilities(host: &Host) -> Check {
    let wanted = [("CAP_SYS_ADMIN", CAP_SYS_ADMIN), ("CAP_SYS_PTRACE", CAP_SYS_PTRACE)];
    let (have, lack): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, number)| host.capable(*number));
    let names = |of: Vec<(&str, u32)>| of.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let name = "privileges";
    if lack.is_empty() {
        return Check::ok(Job::Audit, name, names(have), "filters of every process can be read");
    }
    let found = format!("no {}", names(lack));
    Check::ok(
        Job::Audit,
        name,
        found,
        "filters of running threads cannot be read, calls of others not counted",
    )
    .lack(State::Limited, "run as root, or with these capabilities")
}

/// `PTRACE_SECCOMP_GET_FILTER` exists where the kernel was built with `CONFIG_CHECKPOINT_RESTORE`, and so does this file
/// (Linux `kernel/pid_namespace.c`).
fn get_filter(host: &Host) -> Check {
    let name = "reading filters";
    if host.has("/proc/sys/kernel/ns_last_pid") {
        return Check::ok(
            Job::Audit,
            name,
            "the kernel has PTRACE_SECCOMP_GET_FILTER",
            "a thread's filter can be compared with the build, byte for byte",
        );
    }
    Check::ok(
        Job::Audit,
        name,
        "the kernel has no PTRACE_SECCOMP_GET_FILTER",
        "only the mode and the number of a thread's filters can be seen",
    )
    .lack(State::Limited, "use a kernel with CONFIG_CHECKPOINT_RESTORE")
}

fn tracefs(host: &Host) -> Check {
    let name = "tracefs";
    let mounts = host.read("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().map(|line| line.split(' ')).find_map(|mut fields| {
        let place = fields.nth(1)?;
        (fields.next()? == "tracefs").then(|| place.to_owned())
    });
    let meaning = "the calls of threads can be counted and watched";
    if let Some(place) = mounted {
        let check = Check::ok(Job::Audit, name, format!("mounted at {place}"), meaning);
        if host.read(&format!("{place}/events/syscalls/sys_enter_ioctl/id")).is_some() {
            return check;
        }
        let found = format!("mounted at {place}, where this user finds no events of system calls");
        return Check { found, meaning: "calls can be neither counted nor watched".into(), ..check }
            .lack(State::Limited, "run as root, on a kernel with CONFIG_FTRACE_SYSCALLS");
    }
    let filesystems = host.read("/proc/filesystems").unwrap_or_default();
    let known = filesystems.lines().any(|line| line.trim_start_matches("nodev").trim() == "tracefs");
    if !known {
        return Check::ok(
            Job::Audit,
            name,
            "the kernel has none",
            "calls can be neither counted nor watched",
        )
        .lack(State::Limited, "use a kernel with CONFIG_FTRACE and CONFIG_FTRACE_SYSCALLS");
    }
    if host.capable(CAP_SYS_ADMIN) {
        return Check::ok(
            Job::Audit,
            name,
            "not mounted; it is when it is needed, in a namespace of its own",
            meaning,
        );
    }
    Check::ok(Job::Audit, name, "not mounted", "calls can be neither counted nor watched").lack(
        State::Limited,
        "run as root: tracefs (mount -t tracefs nodev /sys/kernel/tracing) is open to root alone",
    )
}

/// Above 1, an event that counts what happens in the kernel needs a capability (Linux
/// Documentation/admin-guide/sysctl/kernel.rst, `perf_event_paranoid`).
fn perf_events(host: &Host) -> Check {
    let name = "perf events";
    let file = "/proc/sys/kernel/perf_event_paranoid";
    let privileged = host.capable(CAP_PERFMON) || host.capable(CAP_SYS_ADMIN);
    let Some(paranoid) = host.number(file) else {
        return Check::ok(Job::Audit, name, "the kernel has none", "calls cannot be counted")
            .lack(State::Limited, "use a kernel with CONFIG_PERF_EVENTS");
    };
    let found = format!("perf_event_paranoid is {paranoid}");
    if privileged {
        let found = format!("{found}, and this user is exempt");
        return Check::ok(Job::Audit, name, found, "calls of every thread can be counted");
    }
    if paranoid <= 1 {
        return Check::ok(Job::Audit, name, found, "calls of this user's threads can be counted");
    }
    Check::ok(Job::Audit, name, found, "calls cannot be counted")
        .lack(State::Limited, format!("run as root, or echo 1 > {file}"))
}

fn user_notification(host: &Host) -> Check {
    let name = "user notification";
    if host.seccomp_actions().iter().any(|action| action == "user_notif") {
        return Check::ok(
            Job::Audit,
            name,
            "the kernel has it",
            "a supervisor can answer calls of a program under audit",
        );
    }
    Check::ok(Job::Audit, name, "the kernel has none", "calls can be watched but not answered")
        .lack(State::Limited, "use a kernel of 5.0 or later")
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    const ROOT: (&str, &str) = ("/proc/self/status", "CapEff:\t000001ffffffffff\n");

    #[test]
    fn scope_of_ptrace_matters_less_to_root() {
        let file = "/proc/sys/kernel/yama/ptrace_scope";
        let state = |scope, status: (&'static str, &'static str)| {
            let (_root, host) = host(&[(file, scope), status]);
            ptrace_scope(&host).state
        };
        let user = ("/proc/self/status", "CapEff:\t0000000000000000\n");
        assert_eq!(
            ["0", "1", "2", "3"].map(|s| state(s, user)),
            [State::Ok, State::Limited, State::Missing, State::Missing]
        );
        assert_eq!(
            ["0", "1", "2", "3"].map(|s| state(s, ROOT)),
            [State::Ok, State::Ok, State::Ok, State::Missing]
        );
    }

    #[test]
    fn tracefs_is_found_where_it_is_mounted() {
        let mounts = "proc /proc proc rw 0 0\nnodev /sys/kernel/tracing tracefs rw 0 0\n";
        let id = ("/sys/kernel/tracing/events/syscalls/sys_enter_ioctl/id", "77\n");
        let (_root, readable) = host(&[("/proc/self/mounts", mounts), id]);
        assert_eq!(tracefs(&readable).found, "mounted at /sys/kernel/tracing");
        let (_root, closed) = host(&[("/proc/self/mounts", mounts)]);
        assert_eq!(tracefs(&closed).state, State::Limited);
    }

    #[test]
    fn tracefs_that_could_be_mounted_is_enough_for_root_alone() {
        let filesystems = ("/proc/filesystems", "nodev\tsysfs\nnodev\ttracefs\n\text4\n");
        let (_root, as_user) = host(&[filesystems]);
        let check = tracefs(&as_user);
        assert_eq!(check.state, State::Limited);
        assert!(check.remedy.unwrap().contains("mount -t tracefs"));
        let (_root, as_root) = host(&[filesystems, ROOT]);
        assert_eq!(tracefs(&as_root).state, State::Ok);
        let (_root, without) = host(&[("/proc/filesystems", "nodev\tsysfs\n"), ROOT]);
        assert_eq!(tracefs(&without).found, "the kernel has none");
    }

    #[test]
    fn paranoid_setting_of_two_stops_users_and_not_root() {
        let file = "/proc/sys/kernel/perf_event_paranoid";
        let state = |files: &[(&str, &str)]| {
            let (_root, host) = host(files);
            perf_events(&host).state
        };
        assert_eq!(state(&[(file, "2\n")]), State::Limited);
        assert_eq!(state(&[(file, "1\n")]), State::Ok);
        assert_eq!(state(&[(file, "-1\n")]), State::Ok);
        assert_eq!(state(&[(file, "2\n"), ROOT]), State::Ok);
    }

    #[test]
    fn privileges_that_lack_are_named() {
        let (_root, host) = host(&[("/proc/self/status", "CapEff:\t0000000000080000\n")]);
        assert_eq!(capabilities(&host).found, "no CAP_SYS_ADMIN");
    }
}
