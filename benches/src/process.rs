//! What a running monitor holds: memory of its own, threads, descriptors.
#![forbid(unsafe_code)]

use std::fs;
use std::io;

/// KiB of memory, by the kernel's accounts: Linux Documentation/filesystems/proc.rst, section 3.4
/// ("/proc/PID/smaps").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Pages that are in memory.
    pub resident_kib: u64,
    /// Pages that belong to no file, or no longer: heap, stacks, data that was written to.
    pub anonymous_kib: u64,
    /// Pages that no other process maps, those of files included.
    pub private_kib: u64,
}

/// A process' memory, without its guest's and the guest's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The monitor's own.
    pub own: Memory,
    /// What the guest has touched of its memory.
    pub guest: Memory,
}

/// A thread and how many descriptors its table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its name.
    pub name: String,
    /// Open descriptors.
    pub descriptors: usize,
}

/// What a process holds in memory now, with `guest_mib` of guest memory mapped.
///
/// # Errors
/// The process is gone, or belongs to another user.
pub fn footprint(pid: u32, guest_mib: u64) -> io::Result<Footprint> {
    Ok(sum(&fs::read_to_string(format!("/proc/{pid}/smaps"))?, guest_mib))
}

/// The threads of a process, in the order in which they were made. One that ends meanwhile is none.
///
/// # Errors
/// The process is gone, or belongs to another user.
pub fn threads(pid: u32) -> io::Result<Vec<Thread>> {
    let tasks = format!("/proc/{pid}/task");
    let mut tids = Vec::new();
    for entry in fs::read_dir(&tasks)? {
        tids.extend(entry?.file_name().to_str().and_then(|tid| tid.parse::<u32>().ok()));
    }
    tids.sort_unstable();
    let thread = |tid: u32| -> io::Result<Thread> {
        let name = fs::read_to_string(format!("{tasks}/{tid}/comm"))?.trim_end().to_owned();
        Ok(Thread { name, descriptors: fs::read_dir(format!("{tasks}/{tid}/fd"))?.count() })
    };
    // The kernel says ESRCH of a thread that ends while its files are read.
    let is_gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
    };
    tids.into_iter().map(thread).filter(|thread| !thread.as_ref().is_err_and(is_gone)).collect()
}

/// One mapping of `smaps`.
#[derive(Default)]
struct Mapping {
    size_kib: u64,
    memory: Memory,
    left_out_of_dumps: bool,
}

impl Mapping {
    /// Takes in one line of its account; others are passed over.
    fn read(&mut self, line: &str) {
        let Some((key, value)) = line.split_once(':') else { return };
        let kib = value.trim().strip_suffix(" kB").and_then(|number| number.parse().ok()).unwrap_or(0);
        match key {
            "Size" => self.size_kib = kib,
            "Rss" => self.memory.resident_kib = kib,
            "Anonymous" => self.memory.anonymous_kib = kib,
            "Private_Clean" | "Private_Dirty" => self.memory.private_kib += kib,
            "VmFlags" => self.left_out_of_dumps = value.split_whitespace().any(|flag| flag == "dd"),
            _ => {}
        }
    }

    /// Guest memory below the hole for devices is one mapping of its whole size that is left out of core dumps.
    fn is_guest(&self, guest_mib: u64) -> bool {
        self.left_out_of_dumps && self.size_kib == guest_mib * 1024
    }
}

fn sum(smaps: &str, guest_mib: u64) -> Footprint {
    let mut mappings = Vec::new();
    for line in smaps.lines() {
        // The line that begins a mapping begins with its addresses, in small letters; all others with a capital.
        if line.starts_with(|first: char| first.is_ascii_digit() || first.is_ascii_lowercase()) {
            mappings.push(Mapping::default());
        } else if let Some(mapping) = mappings.last_mut() {
            mapping.read(line);
        }
    }
    mappings.iter().fold(Footprint::default(), |mut footprint, mapping| {
        let part = if mapping.is_guest(guest_mib) { &mut footprint.guest } else { &mut footprint.own };
        part.resident_kib += mapping.memory.resident_kib;
        part.anonymous_kib += mapping.memory.anonymous_kib;
        part.private_kib += mapping.memory.private_kib;
        footprint
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0100000 r-xp 00000000 fe:00 7      /usr/bin/monitor
Size:               1024 kB
Rss:                 800 kB
Private_Clean:       300 kB
Private_Dirty:        20 kB
Anonymous:            20 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0008000000 rw-p 00000000 00:00 0
Size:             131072 kB
Rss:                  64 kB
Private_Clean:         0 kB
Private_Dirty:        64 kB
Anonymous:            64 kB
VmFlags: rd wr mr mw me ac nr dd nh
f10000000000-f10008000000 rw-p 00000000 00:00 0
Size:             131072 kB
Rss:                   4 kB
Private_Dirty:         4 kB
Anonymous:             4 kB
VmFlags: rd wr mr mw me ac
";

    #[test]
    fn guest_memory_is_the_mapping_of_its_size_that_is_left_out_of_dumps() {
        let footprint = sum(SMAPS, 128);
        assert_eq!(footprint.own, Memory { resident_kib: 804, anonymous_kib: 24, private_kib: 324 });
        assert_eq!(footprint.guest, Memory { resident_kib: 64, anonymous_kib: 64, private_kib: 64 });
        assert_eq!(sum(SMAPS, 64).guest, Memory::default());
    }

    #[test]
    fn the_sum_over_all_mappings_is_what_the_kernel_sums_up() {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let own = footprint(std::process::id(), 0).unwrap().own;
        // The process runs on between the two looks.
        let close = sum(&rollup, 0).own.anonymous_kib.abs_diff(own.anonymous_kib) < 512;
        assert!(close && own.anonymous_kib > 0, "{own:?}\n{rollup}");
    }

    #[test]
    fn threads_are_found_with_their_names_and_descriptors() {
        let threads = threads(std::process::id()).unwrap();
        let own = std::thread::current().name().unwrap()[..15].to_owned();
        let found = threads.iter().find(|thread| thread.name == own).unwrap_or_else(|| panic!("{threads:?}"));
        assert!(found.descriptors >= 3, "{threads:?}");
    }
}
