//! What lies behind the descriptors of a run's thread, against the slots that its role's policy names.
#![forbid(unsafe_code)]

use seccomp_policies::embed::Embedded;

/// A descriptor that is not what its number says.
pub type Deviation = String;

/// What `/proc` calls the object that may lie at a slot: the starts of its name.
fn objects(slot: &str) -> &'static [&'static str] {
    match slot {
        "vcpu" | "vcpus" => &["anon_inode:kvm-vcpu:"],
        "vm" => &["anon_inode:kvm-vm"],
        "signals" => &["anon_inode:[signalfd]"],
        // A file of its own file system since Linux 6.9.
        "console_exit" => &["anon_inode:[pidfd]", "pidfd:"],
        "counters" => &["anon_inode:[perf_event]"],
        "epoll" | "vsock_epoll" => &["anon_inode:[eventpoll]"],
        "timer" | "balloon_timer" => &["anon_inode:[timerfd]"],
        "taps" => &["/dev/net/tun"],
        "listener" | "connections" | "vsock_socket" | "vsock_streams" | "main_socket" | "received"
        | "io_socket" | "disk_sockets" | "opened" => &["socket:["],
        // Whatever the user has given, or a file that the user named.
        "stdin" | "stdout" | "stderr" | "terminal" | "report" | "disk" | "disks" | "log" | "metrics"
        | "stat" => &[""],
        // Everything else is a bell: of a thread, of a queue, or of an interrupt.
        _ => &["anon_inode:[eventfd]"],
    }
}

/// Holds what a thread has against its role's slots.
/// `has_null`: there is a `/dev/null` where the process is.
pub fn check(held: &[(i32, String)], role: &Embedded, has_null: bool) -> Vec<Deviation> {
    held.iter().filter_map(|(number, object)| deviation(*number, object, role, has_null)).collect()
}

fn deviation(number: i32, object: &str, role: &Embedded, has_null: bool) -> Option<Deviation> {
    // It keeps a number from being taken, and reads as nothing; in a jail without it a pipe is in its place.
    if object == "/dev/null" || (!has_null && object.starts_with("pipe:")) {
        return None;
    }
    let slot = u32::try_from(number)
        .ok()
        .and_then(|number| role.slots.iter().find(|slot| (slot.first..=slot.last).contains(&number)));
    let Some(slot) = slot else {
        return Some(format!("it holds {object} at {number}, where {} has no slot", role.role));
    };
    let fits = objects(slot.name).iter().any(|start| object.starts_with(start));
    (!fits).then(|| format!("it holds {object} at {number}, the slot `{}`: {}", slot.name, slot.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::policies::vcpu;

    #[test]
    fn a_descriptor_at_its_slot_is_in_order_and_another_is_not() {
        let deviations = |number, object: &str| check(&[(number, object.to_owned())], &vcpu::POLICY, true);
        assert_eq!(deviations(vcpu::slot::VCPU, "anon_inode:kvm-vcpu:0"), [""; 0]);
        assert_eq!(deviations(0, "/dev/null"), [""; 0]);
        assert_eq!(
            deviations(vcpu::slot::VCPU, "/etc/shadow"),
            ["it holds /etc/shadow at 3, the slot `vcpu`: the KVM vCPU that this thread runs"]
        );
        assert_eq!(deviations(99, "socket:[1]"), ["it holds socket:[1] at 99, where vcpu has no slot"]);
    }
}
