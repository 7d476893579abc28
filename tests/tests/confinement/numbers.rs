//! Every role × every system call number, made by the thread itself, in a machine with every device.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use ringfence::role::policies::{api, disk, io, io_vsock, main, main_api, vcpu};
use ringfence_tests::run::{self, Ended, Run};
use ringfence_tests::{binary, network};
use seccomp_policies::action::Action;
use seccomp_policies::call::Call;
use seccomp_policies::embed::Embedded;
use seccomp_policies::language::{self, Policy};
use seccomp_policies::syscalls::Arch;

/// What the thread tries, as `vmm/src/confine/provoke.rs` says.
const NUMBERS: std::ops::RangeInclusive<u32> = 0..=480;
const NOT_TRIED: [i64; 5] = [libc::SYS_exit, libc::SYS_exit_group, libc::SYS_rt_sigreturn, 335, 336];

/// All bits set: no descriptor.
const NONE: i32 = -1;

fn policy(embedded: &Embedded) -> Policy {
    let (root, _) = embedded.sources[0];
    let checked = language::check_sources(root, embedded.sources, Arch::X86_64);
    checked.unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(false))).policy
}

/// The numbers that a policy allows with this first argument; by number alone for the bitmask tier.
fn allowed(policy: &Policy, first: i32, tier: &str) -> BTreeSet<u32> {
    let mut arguments = [u64::MAX; 6];
    arguments[0] = i64::from(first).cast_unsigned();
    let allows = |number: &u32| {
        let arch = Arch::X86_64.audit_value();
        let call = Call { number: *number, arch, instruction_pointer: 0, arguments };
        match tier {
            "bitmask" => policy.rules.iter().any(|rule| rule.call.number == *number),
            _ => policy.decide(&call) == Action::Allow,
        }
    };
    NUMBERS.filter(|number| !NOT_TRIED.contains(&i64::from(*number))).filter(allows).collect()
}

/// A machine with every device that needs no network, and its API if that is wanted.
fn options(folder: &Path, has_streams: bool, has_api: bool) -> Vec<String> {
    let disk = folder.join("disk");
    std::fs::File::create(&disk).and_then(|file| file.set_len(1 << 20)).expect("the folder takes files");
    let path = |name: &str| folder.join(name).to_str().expect("the folder's name is text").to_owned();
    let mut options = ["--entropy", "--keyboard", "--console", "virtio"].map(str::to_owned).to_vec();
    options.extend(["--balloon".into(), "1,statistics=9,free-page-reporting".into()]);
    options.extend(["--disk".into(), path("disk")]);
    if has_streams {
        options.extend(["--vsock".into(), format!("3,{}", path("streams"))]);
    }
    if has_api {
        options.extend(["--api-sock".into(), path("api")]);
    }
    options
}

/// What a thread was let through, in its own words, when it has tried everything.
fn let_through(thread: &str, role: &str, ended: &Ended) -> BTreeSet<u32> {
    let said = &ended.stderr;
    let line = format!("ringfence: {thread} ({role}) panicked: let through:");
    let rest =
        said.lines().find_map(|said| said.strip_prefix(&line)).unwrap_or_else(|| panic!("{thread}: {said}"));
    let (numbers, _) = rest.split_once(", at ").expect("the place of the panic");
    numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

struct Tried {
    thread: &'static str,
    policy: &'static Embedded,
    /// First arguments, beside none at all.
    slots: Vec<i32>,
    has_streams: bool,
    has_api: bool,
}

impl Tried {
    fn assert_as_the_policy_says(&self, more: &[&str]) {
        let policy = policy(self.policy);
        for (first, tier) in
            self.slots.iter().map(|slot| (*slot, "filter")).chain([(NONE, "filter"), (NONE, "bitmask")])
        {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut command = run::run_command(binary::provoking());
            command.args(["--provoke", &format!("{}:every:{first}", self.thread), "--on-violation", "errno"]);
            command.args(["spin", "--tier", tier]).args(more);
            command.args(options(folder.path(), self.has_streams, self.has_api)).stdin(Stdio::null());
            let ended = Run::start(&mut command).wait().expect_code(1);
            let tried = let_through(self.thread, self.policy.role, &ended);
            assert_eq!(tried, allowed(&policy, first, tier), "{} with {first}, {tier}", self.thread);
        }
    }
}

/// The slots of devices, the first of each.
fn io_slots() -> Vec<i32> {
    let slot = &io::slot::EPOLL;
    vec![
        *slot,
        *io::slot::DISKS.start(),
        io::slot::TIMER,
        *io::slot::BALLOON_QUEUES.start(),
        io::slot::OUTPUT_BELL,
    ]
}

fn io_without_streams() -> Tried {
    Tried { thread: "rf-io", policy: &io::POLICY, slots: io_slots(), has_streams: false, has_api: false }
}

fn io_with_streams() -> Tried {
    let streams =
        [io_vsock::slot::VSOCK_SOCKET, io_vsock::slot::VSOCK_EPOLL, *io_vsock::slot::VSOCK_STREAMS.start()];
    Tried { policy: &io_vsock::POLICY, slots: streams.to_vec(), has_streams: true, ..io_without_streams() }
}

#[test]
fn io_makes_of_all_calls_those_of_its_policy_with_every_device() {
    io_without_streams().assert_as_the_policy_says(&[]);
}

#[test]
fn io_makes_of_all_calls_those_of_its_policy_with_streams() {
    io_with_streams().assert_as_the_policy_says(&[]);
}

#[test]
fn io_makes_of_all_calls_those_of_its_policy_with_a_network() {
    network::in_namespace(|| {
        let slots = vec![*io::slot::TAPS.start(), *io::slot::NET_RECEIVE_QUEUES.start()];
        Tried { slots, ..io_without_streams() }.assert_as_the_policy_says(&["--net", "tap0"]);
        Tried { slots: vec![*io::slot::TAPS.start()], ..io_with_streams() }
            .assert_as_the_policy_says(&["--net", "tap0"]);
    });
}

#[test]
fn the_thread_of_a_disk_makes_of_all_calls_those_of_its_policy() {
    let slots = vec![disk::slot::EPOLL, disk::slot::DISK, disk::slot::TIMER, disk::slot::QUEUE];
    let disk = Tried { thread: "rf-disk0", policy: &disk::POLICY, slots, ..io_without_streams() };
    disk.assert_as_the_policy_says(&["--io-threads", "disks"]);
    Tried { has_api: true, ..disk }.assert_as_the_policy_says(&["--io-threads", "disks"]);
}

#[test]
fn main_and_a_vcpu_make_of_all_calls_those_of_their_policies_with_every_device() {
    let slots = vec![main::slot::BELL, main::slot::VM];
    let main = Tried { thread: "rf-main", policy: &main::POLICY, slots, ..io_without_streams() };
    main.assert_as_the_policy_says(&[]);
    let slots = vec![vcpu::slot::VCPU, vcpu::slot::MAIN_BELL];
    Tried { thread: "rf-vcpu0", policy: &vcpu::POLICY, slots, ..io_without_streams() }
        .assert_as_the_policy_says(&[]);
}

#[test]
fn with_an_api_its_thread_and_main_make_of_all_calls_those_of_their_policies() {
    let slots = vec![api::slot::EPOLL, api::slot::TIMER, *api::slot::CONNECTIONS.start()];
    let api = Tried { thread: "rf-api", policy: &api::POLICY, slots, has_api: true, ..io_with_streams() };
    api.assert_as_the_policy_says(&[]);
    let slots = vec![main_api::slot::BELL, main_api::slot::API_BELL];
    Tried { thread: "rf-main", policy: &main_api::POLICY, slots, ..api }.assert_as_the_policy_says(&[]);
}
