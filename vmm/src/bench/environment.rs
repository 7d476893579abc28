//! The machine that figures belong to: without it they mean nothing.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use procfs::process::{Process, Stat};
use procfs::{CpuTime, Current as _, CurrentSI as _, KernelStats, LoadAverage};
use rustix::system::uname;
use serde::{Deserialize, Serialize};

use super::method::clock::{self, Clock};

/// What a result depends on that is not in the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The processor's own name.
    pub processor: String,
    /// How many the process may use.
    pub processors: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The module that does KVM's work, and whether this is a guest itself.
    pub kvm: String,
    /// Whether the kernel compiles filters to machine code.
    pub bpf_jit: String,
    /// What a filter may answer.
    pub seccomp_actions: String,
    /// Each flaw of the processor that the kernel knows of, and what it does about it; those that this one has.
    pub mitigations: Vec<String>,
    /// What governs the processor's speed.
    pub governor: String,
    /// What the time is read from.
    pub clock_source: String,
    /// The least step of the clock, in nanoseconds.
    pub clock_resolution_ns: f64,
    /// What one reading of it takes, in nanoseconds.
    pub clock_reading_ns: f64,
    /// Tasks that were running or waiting for a processor, in the last minute before the run.
    pub load: f64,
}

impl Environment {
    /// Looks at this machine.
    pub fn here() -> Self {
        let Clock { resolution, reading } = clock::look();
        let word = |path: &str| read(path).unwrap_or_else(|| "unknown".to_owned());
        Self {
            processor: read("/proc/cpuinfo")
                .as_deref()
                .and_then(processor)
                .unwrap_or("unknown processor")
                .to_owned(),
            processors: available_parallelism().map_or(0, usize::from),
            kernel: uname().release().to_string_lossy().into_owned(),
            kvm: kvm(Path::new("/sys/module"), read("/proc/cpuinfo").as_deref().is_some_and(is_guest)),
            bpf_jit: jit_state(&word("/proc/sys/net/core/bpf_jit_enable")).to_owned(),
            seccomp_actions: word("/proc/sys/kernel/seccomp/actions_avail"),
            mitigations: mitigations(Path::new("/sys/devices/system/cpu/vulnerabilities")),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
                .unwrap_or_else(|| "none that is seen".to_owned()),
            clock_source: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            clock_resolution_ns: nanoseconds(resolution),
            clock_reading_ns: nanoseconds(reading),
            load: LoadAverage::current().map_or(f64::NAN, |load| load.one.into()),
        }
    }

    /// In a line: processor, how many, kernel, whether the kernel compiles filters.
    pub fn line(&self) -> String {
        let Self { processor, processors, kernel, bpf_jit, .. } = self;
        format!("{processor} ({processors} CPUs), Linux {kernel}, BPF JIT {bpf_jit}")
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[expect(clippy::cast_precision_loss, reason = "a step of the clock is far below 2^52 ns")]
fn nanoseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn processor(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

/// CPUID leaf 1, ECX bit 31, as Linux names it (`arch/x86/include/asm/cpufeatures.h`).
fn is_guest(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "hypervisor")
}

/// The module beneath `kvm`, which drivers of the processor's own kind are; `modules`: `/sys/module`.
fn kvm(modules: &Path, is_guest: bool) -> String {
    let known = ["kvm_intel", "kvm_amd", "kvm_pvm"];
    let module = known.into_iter().find(|name| modules.join(name).is_dir());
    let module = module.unwrap_or("built in, or of another kind");
    format!("{module}, {}", if is_guest { "in a virtual machine" } else { "on the metal" })
}

/// Linux Documentation/admin-guide/sysctl/net.rst, "`bpf_jit_enable`".
fn jit_state(value: &str) -> &'static str {
    match value {
        "0" => "off",
        "1" => "on",
        "2" => "on, with traces",
        _ => "unknown",
    }
}

/// Linux Documentation/ABI/testing/sysfs-devices-system-cpu, "`vulnerabilities`".
fn mitigations(folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let state = read(entry.path().to_str()?)?;
            let affects = state != "Not affected";
            affects.then(|| format!("{}: {state}", entry.file_name().to_string_lossy()))
        })
        .collect();
    found.sort();
    found
}

/// What the machine's processors did, in seconds since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Processors {
    count: usize,
    busy: f64,
    stolen: f64,
}

/// Watches what else the machine does.
#[derive(Clone, Copy, Debug)]
pub struct Neighbours {
    since: Instant,
    began: Option<Processors>,
    own: f64,
}

/// Shares of the machine's processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Busy {
    /// What others used.
    pub others: f64,
    /// What the machine did not get from the one that it runs in.
    pub stolen: f64,
}

impl Neighbours {
    /// From now on.
    pub fn watch() -> Self {
        Self { since: Instant::now(), began: processors(), own: own_seconds() }
    }

    /// What there was until now; nothing where the kernel does not say.
    pub fn busy(&self) -> Busy {
        let (Some(began), Some(now)) = (self.began, processors()) else { return Busy::default() };
        let count = u32::try_from(now.count.max(1)).map_or(1.0, f64::from);
        let there_was = self.since.elapsed().as_secs_f64().max(0.01) * count;
        let own = own_seconds() - self.own;
        Busy {
            others: ((now.busy - began.busy - own) / there_was).clamp(0.0, 1.0),
            stolen: ((now.stolen - began.stolen) / there_was).clamp(0.0, 1.0),
        }
    }
}

fn processors() -> Option<Processors> {
    let stat = KernelStats::current().ok()?;
    let CpuTime { user, nice, system, .. } = stat.total;
    let interrupts = stat.total.irq.unwrap_or(0) + stat.total.softirq.unwrap_or(0);
    Some(Processors {
        count: stat.cpu_time.len(),
        busy: seconds(user + nice + system + interrupts),
        stolen: seconds(stat.total.steal.unwrap_or(0)),
    })
}

/// What this process, and those that it has waited for, used.
fn own_seconds() -> f64 {
    let stat = Process::myself().and_then(|process| process.stat());
    let children = |stat: &Stat| u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    stat.map_or(0.0, |stat| seconds(stat.utime + stat.stime + children(&stat)))
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a hundredth of a second")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_first_model_name() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nprocessor\t: 1\nmodel name\t: Another\n";
        assert_eq!(processor(info), Some("Some CPU @ 3 GHz"));
        assert_eq!(processor("processor\t: 0\n"), None);
    }

    #[test]
    fn a_guest_is_known_by_its_flag() {
        assert!(is_guest("model name\t: a\nflags\t\t: fpu hypervisor lahf_lm\n"));
        assert!(!is_guest("flags\t\t: fpu lahf_lm\n"));
    }

    #[test]
    fn kvm_is_named_by_its_module() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kvm(folder.path(), true), "built in, or of another kind, in a virtual machine");
        fs::create_dir(folder.path().join("kvm_amd")).unwrap();
        assert_eq!(kvm(folder.path(), false), "kvm_amd, on the metal");
    }

    #[test]
    fn the_jit_is_unknown_where_the_kernel_does_not_say() {
        assert_eq!((jit_state("1"), jit_state("unknown")), ("on", "unknown"));
    }

    #[test]
    fn flaws_that_the_processor_has_not_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("meltdown"), "Not affected\n").unwrap();
        fs::write(folder.path().join("spectre_v2"), "Mitigation: Retpolines\n").unwrap();
        assert_eq!(mitigations(folder.path()), ["spectre_v2: Mitigation: Retpolines"]);
    }

    #[test]
    fn this_process_is_not_others() {
        let neighbours = Neighbours::watch();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(200) {
            std::hint::black_box(clock::work(1000, 1));
        }
        assert!(own_seconds() - neighbours.own > 0.1, "{neighbours:?}");
        let Busy { others, stolen } = neighbours.busy();
        assert!((0.0..=1.0).contains(&others) && (0.0..=1.0).contains(&stolen));
    }
}
