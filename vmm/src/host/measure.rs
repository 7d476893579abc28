//! What measuring needs: a steady clock, processors to itself, and the kernel's settings known.
#![forbid(unsafe_code)]

use std::thread::available_parallelism;

use super::{Check, Host, Job, State};

/// Processors below which two threads that talk to each other are measured on one.
const PROCESSORS: usize = 2;

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let processors = available_parallelism().map_or(1, usize::from);
    vec![count(processors), clock(host), jit(host), mitigations(host), counters(host)]
}

fn count(processors: usize) -> Check {
    let name = "processors";
    let found = format!("{processors} for this process");
    if processors >= PROCESSORS {
        return Check::ok(Job::Measure, name, found, "the guest and its devices run side by side");
    }
    Check::ok(Job::Measure, name, found, "threads wait for each other, which widens the intervals")
        .lack(State::Limited, "give the process two processors or more (taskset, cgroup)")
}

fn clock(host: &Host) -> Check {
    let name = "clock";
    let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    match host.read(file).as_deref() {
        // These are read without a system call (vDSO).
        Some(source @ ("tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page")) => {
            Check::ok(Job::Measure, name, source, "reading the time is no system call")
        }
        Some(source) => Check::ok(
            Job::Measure,
            name,
            source,
            "reading the time is a system call, filtered like the others",
        )
        .lack(State::Limited, format!("echo tsc > {file}, where the host has a stable one")),
        None => Check::ok(Job::Measure, name, "unknown", "what reading the time costs is not known")
            .lack(State::Limited, "mount sysfs at /sys"),
    }
}

fn jit(host: &Host) -> Check {
    let name = "BPF JIT";
    let file = "/proc/sys/net/core/bpf_jit_enable";
    match host.number(file) {
        Some(0) => Check::ok(Job::Measure, name, "off", "filters are interpreted, several times slower")
            .lack(State::Limited, format!("echo 1 > {file}")),
        Some(_) => Check::ok(Job::Measure, name, "on", "filters run as machine code"),
        // Network namespaces but the first hide the file, and kernels with the JIT always on need none.
        None => Check::ok(Job::Measure, name, "unknown", "whether filters are compiled is not known")
            .lack(State::Limited, "look in the first network namespace, as root"),
    }
}

/// The mitigations that weigh on each system call (Linux Documentation/admin-guide/hw-vuln/spectre.rst).
fn mitigations(host: &Host) -> Check {
    let read = |name| host.read(&format!("/sys/devices/system/cpu/vulnerabilities/{name}"));
    let name = "mitigations";
    match (read("spectre_v2"), read("meltdown")) {
        (None, None) => {
            Check::ok(Job::Measure, name, "unknown", "results compare with those of this host alone")
                .lack(State::Limited, "mount sysfs at /sys")
        }
        (spectre, meltdown) => {
            let found = [("Spectre 2", spectre), ("Meltdown", meltdown)]
                .into_iter()
                .filter_map(|(flaw, state)| Some(format!("{flaw}: {}", state?.split(';').next()?)))
                .collect::<Vec<_>>()
                .join(", ");
            Check::ok(
                Job::Measure,
                name,
                found,
                "they are part of what a call costs, and are named with results",
            )
        }
    }
}

fn counters(host: &Host) -> Check {
    let name = "hardware counters";
    let core =
        ["cpu", "cpu_core"].iter().any(|kind| host.has(&format!("/sys/bus/event_source/devices/{kind}")));
    if core {
        return Check::ok(Job::Measure, name, "there", "instructions and misses can be counted");
    }
    Check::ok(Job::Measure, name, "none", "time is measured, instructions are not counted")
        .lack(State::Limited, "use a host, or a virtual machine, with performance counters")
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    #[test]
    fn one_processor_is_too_few_to_measure_well() {
        assert_eq!([1, 2, 64].map(|n| count(n).state), [State::Limited, State::Ok, State::Ok]);
    }

    #[test]
    fn clock_that_needs_a_system_call_is_named() {
        let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let (_root, slow) = host(&[(file, "hpet\n")]);
        assert_eq!((clock(&slow).state, clock(&slow).found.as_str()), (State::Limited, "hpet"));
        let (_root, fast) = host(&[(file, "tsc\n")]);
        assert_eq!(clock(&fast).state, State::Ok);
    }

    #[test]
    fn interpreted_filters_are_reported() {
        let file = "/proc/sys/net/core/bpf_jit_enable";
        let state = |value| {
            let (_root, host) = host(&[(file, value)]);
            jit(&host).state
        };
        assert_eq!(["0\n", "1\n", "2\n"].map(state), [State::Limited, State::Ok, State::Ok]);
    }

    #[test]
    fn mitigations_are_shown_without_their_details() {
        let folder = "/sys/devices/system/cpu/vulnerabilities";
        let (_root, host) = host(&[
            (&format!("{folder}/spectre_v2"), "Mitigation: Retpolines; IBPB: conditional\n"),
            (&format!("{folder}/meltdown"), "Not affected\n"),
        ]);
        assert_eq!(mitigations(&host).found, "Spectre 2: Mitigation: Retpolines, Meltdown: Not affected");
    }
}
