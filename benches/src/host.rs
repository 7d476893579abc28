//! The machine that figures belong to: without it they mean nothing.
#![forbid(unsafe_code)]

use std::fs;
use std::thread::available_parallelism;

use rustix::system::uname;

/// One line: processor, how many, kernel, whether the kernel compiles filters to machine code.
pub fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").unwrap_or_default();
    format!(
        "{} ({} CPUs), Linux {}, BPF JIT {}",
        processor(&info).unwrap_or("unknown processor"),
        available_parallelism().map_or(0, usize::from),
        uname().release().to_string_lossy(),
        jit_state(jit.trim()),
    )
}

fn processor(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
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
    fn the_jit_is_unknown_where_the_kernel_does_not_say() {
        assert_eq!((jit_state("1"), jit_state("")), ("on", "unknown"));
    }
}
