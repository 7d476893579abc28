//! Events become a recording: calls by thread, before and after it confined itself.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use seccomp_policies::learn::{Calls, Recording, Thread};
use seccomp_policies::syscalls::{Arch, Syscall, by_number};

use super::event::{Event, What};
use super::objects::Objects;
use super::only::Only;
use crate::audit::live::process::is_32_bit;

/// The highest descriptor that a process can have: `NR_OPEN`, Linux `fs/file.c`.
const DESCRIPTORS: u64 = 1024 * 1024;

/// Which thread a group is for: given a thread's name, the names of all threads that its process had, and what it called.
pub type Grouping<'a> = dyn Fn(&str, &[&str], &Calls) -> Group + 'a;

/// A group of threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Whether it is a role of ours.
    pub is_role: bool,
}

/// What is known of a thread so far.
#[derive(Default)]
struct Known {
    pid: i32,
    name: String,
    /// The call that it is in.
    inside: Option<(i64, [u64; 6])>,
    /// Whether it was seen to enter the kernel, so that a way out without a way in is a call that was refused.
    has_entered: bool,
    calls: Calls,
    before: Calls,
    refused: BTreeMap<String, u64>,
    /// Descriptors whose objects were noted.
    noted: HashSet<u32>,
    /// Whether it has confined itself, or was confined when it was found.
    is_confined: bool,
}

/// Threads of a process that has not ended yet.
#[derive(Default)]
struct Process {
    alive: usize,
    ended: Vec<Known>,
    objects: Objects,
    /// Whether its program is a 32-bit one, whose calls have other numbers.
    is_foreign: bool,
}

/// Gathers what is seen.
pub(super) struct Gatherer<'a> {
    arch: Arch,
    threads: HashMap<i32, Known>,
    processes: HashMap<i32, Process>,
    grouping: &'a Grouping<'a>,
    only: Option<&'a Only>,
    recording: Recording,
    /// Calls that had other numbers.
    foreign: u64,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(recording: Recording, grouping: &'a Grouping<'a>, only: Option<&'a Only>) -> Self {
        let arch = Arch::X86_64;
        let (threads, processes) = (HashMap::new(), HashMap::new());
        Self { arch, threads, processes, grouping, only, recording, foreign: 0 }
    }

    /// A thread that was there before anybody looked.
    pub(super) fn present(&mut self, pid: i32, tid: i32, name: &str, is_confined: bool) {
        let known = self.known(pid, tid);
        name.clone_into(&mut known.name);
        known.is_confined = is_confined;
        self.processes.entry(pid).or_default().objects = Objects::of_start(pid);
    }

    /// Some records are gone: what threads are in is not known any more.
    pub(super) fn lost(&mut self, count: u64) {
        self.recording.lost += count;
        for known in self.threads.values_mut() {
            known.inside = None;
            known.has_entered = false;
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let Event { pid, tid, what } = event;
        match what {
            What::Enter { number, arguments } => self.enter(pid, tid, number, arguments),
            What::Exit { number, value } => self.exit(pid, tid, number, value),
            What::Foreign => self.foreign += 1,
            What::Birth { pid: new_pid, tid: new_tid } => {
                let name = self.known(pid, tid).name.clone();
                if new_pid != pid {
                    let objects = self.processes.get(&pid).map(|process| process.objects.clone());
                    self.processes.entry(new_pid).or_default().objects = objects.unwrap_or_default();
                }
                self.known(new_pid, new_tid).name = name;
            }
            What::Name { name, executed } => {
                self.known(pid, tid).name = name;
                if executed && let Some(process) = self.processes.get_mut(&pid) {
                    process.objects.executed();
                    // Tracepoints do not tell by which table a number is meant.
                    process.is_foreign = is_32_bit(Path::new(&format!("/proc/{pid}/exe")));
                }
            }
            What::End => self.end(tid),
        }
    }

    fn known(&mut self, pid: i32, tid: i32) -> &mut Known {
        let processes = &mut self.processes;
        self.threads.entry(tid).or_insert_with(|| {
            processes.entry(pid).or_default().alive += 1;
            Known { pid, ..Known::default() }
        })
    }

    fn enter(&mut self, pid: i32, tid: i32, number: i64, arguments: [u64; 6]) {
        let arch = self.arch;
        self.known(pid, tid);
        let Some(known) = self.threads.get_mut(&tid) else { return };
        known.inside = Some((number, arguments));
        known.has_entered = true;
        if self.processes.get(&pid).is_some_and(|process| process.is_foreign) {
            self.foreign += 1;
            return;
        }
        let Some(call) = syscall(arch, number) else { return };
        known.calls.add(call, &arguments);
        let descriptors =
            call.descriptors().map(|(register, _)| arguments[usize::from(register)] & 0xffff_ffff);
        for number in descriptors.filter(|number| *number < DESCRIPTORS) {
            let Ok(number) = u32::try_from(number) else { continue };
            if !known.noted.insert(number) {
                continue;
            }
            if let Some(process) = self.processes.get_mut(&pid)
                && let Some(object) = process.objects.seen(pid, number)
            {
                known.calls.describe(number, object.clone());
            }
        }
    }

    fn exit(&mut self, pid: i32, tid: i32, number: Option<i64>, value: i64) {
        let arch = self.arch;
        let known = self.known(pid, tid);
        match (known.inside.take(), number) {
            // After `sigreturn` the registers are the program's again.
            (Some((entered, arguments)), number) if number.is_none_or(|number| number == entered) => {
                self.returned(pid, tid, entered, &arguments, value);
            }
            // The first way out is that of a birth, of `execve`, or of a call that began before anybody looked.
            (None, Some(number @ 0..)) if known.has_entered => {
                let call = syscall(arch, number);
                let name = call.map_or_else(|| format!("syscall_{number}"), |call| call.name.to_owned());
                *known.refused.entry(name).or_default() += 1;
            }
            _ => {}
        }
    }

    fn returned(&mut self, pid: i32, tid: i32, number: i64, arguments: &[u64; 6], value: i64) {
        let Some(call) = syscall(self.arch, number) else { return };
        let known = self.known(pid, tid);
        if value >= 0 && confines(call, arguments) {
            let calls = std::mem::take(&mut known.calls);
            known.before.merge(calls);
            known.noted.clear();
            known.is_confined = true;
        }
        let objects = &mut self.processes.entry(pid).or_default().objects;
        if objects.returned(pid, call.name, arguments, value) {
            // Another object may have a number that this thread uses now.
            self.known(pid, tid).noted.clear();
        }
    }

    fn end(&mut self, tid: i32) {
        let Some(known) = self.threads.remove(&tid) else { return };
        let pid = known.pid;
        let process = self.processes.entry(pid).or_default();
        process.alive = process.alive.saturating_sub(1);
        process.ended.push(known);
        if process.alive == 0
            && let Some(process) = self.processes.remove(&pid)
        {
            self.group(process.ended);
        }
    }

    /// The threads of a process go to their groups.
    fn group(&mut self, threads: Vec<Known>) {
        let names: Vec<String> = threads.iter().map(|known| known.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for known in threads {
            let has_called = !known.calls.is_empty() || !known.before.is_empty() || !known.refused.is_empty();
            if !has_called || self.only.is_some_and(|only| !only.is_for(&known.name)) {
                continue;
            }
            let Group { name, is_role } = (self.grouping)(&known.name, &names, &known.calls);
            let Known { mut calls, mut before, refused, is_confined, .. } = known;
            // A role's policy speaks of what a thread does in it. One that was never seen to take it on is of a run that
            // confines nothing, or the record of that was lost.
            if is_role && !is_confined {
                before.merge(std::mem::take(&mut calls));
            }
            self.recording.add(Thread { name, is_role, threads: 1, calls, before, refused });
        }
    }

    /// What was seen, and how many calls had other numbers.
    pub(super) fn finish(mut self) -> (Recording, u64) {
        let alive: Vec<i32> = self.threads.keys().copied().collect();
        for tid in alive {
            self.end(tid);
        }
        let rest: Vec<Process> = std::mem::take(&mut self.processes).into_values().collect();
        for process in rest {
            self.group(process.ended);
        }
        self.recording.threads.sort_by(|one, other| one.name.cmp(&other.name));
        (self.recording, self.foreign)
    }
}

fn syscall(arch: Arch, number: i64) -> Option<&'static Syscall> {
    by_number(arch, u32::try_from(number).ok()?)
}

/// Whether a call that succeeded has put a filter, or strict mode, on the calling thread: `SECCOMP_SET_MODE_STRICT` and
/// `SECCOMP_SET_MODE_FILTER`, Linux `include/uapi/linux/seccomp.h`, and `PR_SET_SECCOMP`, Linux
/// `include/uapi/linux/prctl.h`.
fn confines(call: &Syscall, arguments: &[u64; 6]) -> bool {
    match call.name {
        "seccomp" => arguments[0] & 0xffff_ffff <= 1,
        "prctl" => arguments[0] & 0xffff_ffff == 22,
        _ => false,
    }
}
