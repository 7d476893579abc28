//! What is logged and counted of a run, when.
#![forbid(unsafe_code)]

use super::boot_time::Moment;
use super::monitor::Monitor;
use super::{guest_time, slot};
use crate::confine::Phase;
use crate::confine::install::Hold;
use crate::devices::boot_timer::BootTimer;
use crate::observe::{Group, Level, Value};
use crate::report::{self, Cause, exit_code};
use crate::role::policies::vcpu;
use crate::role::published::Published;
use crate::role::shared::{ExitReason, VcpuState};

impl Monitor {
    /// How each thread is held, before any guest instruction.
    pub(super) fn tell_of_threads(&mut self) {
        let Self { observer, watched, fencing, .. } = self;
        observer.log(
            Level::Info,
            format_args!("ringfence {}: {} threads", env!("CARGO_PKG_VERSION"), watched.len()),
        );
        for thread in watched.iter() {
            let hold = fencing.hold(thread.policy);
            let (name, role) = (&thread.record.name, thread.record.role);
            let tier = hold.name(fencing.tier);
            match hold {
                Hold::Program(program) => observer.log_about(
                    name,
                    Level::Info,
                    format_args!("held to {role} by tier {tier}, {} instructions", program.len()),
                ),
                Hold::Strict | Hold::Unconfined => {
                    observer.log_about(name, Level::Info, format_args!("held to {role} by tier {tier}"));
                }
            }
        }
    }

    /// Looks at what has happened since it was last looked: a guest that has started, drivers that broke a queue, metrics that are due.
    pub(super) fn observe(&mut self) {
        if self.shared.boot_timer.as_ref().is_some_and(BootTimer::has_booted)
            && let Some(started) = self.started.take()
        {
            self.observer.log(Level::Info, format_args!("{}", Moment::now().since(started)));
        }
        for (device, told) in &mut self.devices {
            let broken = device.broken();
            if broken > *told {
                *told = broken;
                self.observer.log_about(
                    device.thread(),
                    Level::Warn,
                    format_args!(
                        "the driver broke a queue of {} and has to reset it; {broken} times so far",
                        device.name()
                    ),
                );
            }
        }
        if self.observer.next_flush().is_some_and(|time| time.is_zero()) {
            self.flush();
        }
    }

    /// Writes the metrics; false if their file did not take them.
    pub(super) fn flush(&mut self) -> bool {
        let Self { observer, devices, watched, shared, fenced, ticks, .. } = self;
        observer.flush(|| {
            let mut groups: Vec<Group> = devices.iter().map(|(device, _)| Published::group(device)).collect();
            let exits = shared.vcpus.iter().map(VcpuState::exits_by_reason);
            let sums = exits.fold([0; 5], |sums, exits| std::array::from_fn(|at| sums[at] + exits[at]));
            let time = guest_time::read(fenced.slot(slot::STAT), *ticks);
            let time = time.map(|time| ("guest_time_ms", Value::Count(time)));
            groups.push(Group::new("vcpu", named(sums).chain(time)));
            let refused = watched.iter().filter(|thread| thread.record.phase() == Phase::Violated).count();
            groups.push(Group::new("seccomp", [("num_faults", Value::Count(refused as u64))]));
            let mut states = shared.vcpus.iter();
            for thread in watched.iter() {
                let refused = u64::from(thread.record.phase() == Phase::Violated);
                let mut values = vec![("refused_calls_count", Value::Count(refused))];
                if thread.policy.role == vcpu::POLICY.role
                    && let Some(state) = states.next()
                {
                    values.extend(named(state.exits_by_reason()));
                }
                groups.push(Group::new("thread", values).of(&thread.record.name));
            }
            groups
        })
    }

    /// What ended the run, and the last metrics.
    pub(super) fn tell_of_end(&mut self, cause: &Cause) {
        self.observe();
        let code = exit_code::of(cause);
        let level = if code == exit_code::GUEST_ENDED { Level::Info } else { Level::Error };
        let thread = cause.violator().unwrap_or("rf-main").to_owned();
        let words = report::text::cause(cause);
        self.observer.log_about(&thread, level, format_args!("{words}; exit code {code}"));
        self.flush();
    }
}

fn named(exits: [u64; 5]) -> impl Iterator<Item = (&'static str, Value)> {
    ExitReason::NAMES.into_iter().zip(exits.map(Value::Count))
}
