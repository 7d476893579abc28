//! `firecracker-rs-sdk`: blocking, HTTP/1.0 over one connection that it expects to stay.

use std::fs;
use std::thread;
use std::time::Duration;

use firecracker_rs_sdk::firecracker::FirecrackerOption;
use firecracker_rs_sdk::instance::Instance;
use firecracker_rs_sdk::models::{
    Balloon, BootSource, Drive, EntropyDevice, InstanceState, MachineConfiguration,
};
use ringfence_tests::wait;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Files;

/// A process that the client started, which it never waits for.
struct Machine {
    files: Files,
    instance: Instance,
}

impl Machine {
    /// Configured and started.
    fn start(guest: &str, arguments: &str) -> Self {
        let files = Files::of(guest);
        let mut instance = FirecrackerOption::new(files.firecracker())
            .api_sock(files.socket())
            .id("sdk")
            .stdin("/dev/null")
            .stdout(files.folder().join("output"))
            .stderr(files.folder().join("errors"))
            .build()
            .expect("the client takes the options");
        instance.start_vmm().expect("the program serves its API");
        let info = instance.describe_instance().expect("an instance");
        assert_eq!((info.id.as_str(), info.app_name.as_str()), ("sdk", "Firecracker"));
        assert_eq!(info.state, InstanceState::NotStarted);
        let version = instance.get_firecracker_version().expect("a version");
        assert_eq!(version.firecracker_version, info.vmm_version);

        let boot = BootSource {
            boot_args: Some(arguments.into()),
            initrd_path: None,
            kernel_image_path: files.kernel(),
        };
        instance.put_guest_boot_source(&boot).expect("the boot source is taken");
        let machine = MachineConfiguration {
            cpu_template: None,
            smt: Some(false),
            mem_size_mib: 96,
            track_dirty_pages: Some(false),
            vcpu_count: 2,
            huge_pages: None,
        };
        instance.put_machine_configuration(&machine).expect("the machine is taken");
        let drive = Drive {
            drive_id: "data".into(),
            partuuid: None,
            is_root_device: false,
            cache_type: None,
            is_read_only: true,
            path_on_host: files.disk(),
            rate_limiter: None,
            io_engine: None,
            socket: None,
        };
        instance.put_guest_drive_by_id(&drive).expect("the drive is taken");
        instance.put_entropy_device(&EntropyDevice { rate_limiter: None }).expect("entropy is taken");
        let balloon = Balloon { amount_mib: 8, deflate_on_oom: true, stats_polling_interval_s: None };
        instance.put_balloon(&balloon).expect("the balloon is taken");
        files.expect_configured();
        instance.start().expect("the machine starts");
        Self { files, instance }
    }

    fn state(&mut self) -> InstanceState {
        self.instance.describe_instance().expect("an instance").state
    }

    /// What the guest has written.
    fn output(&self) -> String {
        fs::read_to_string(self.files.folder().join("output")).expect("the program's output is a file")
    }

    fn wait_for(&self, what: &str, found: impl Fn(&str) -> bool) {
        wait::until(what, || found(&self.output()).then_some(()));
    }

    fn process(&self) -> Pid {
        let number = self.instance.firecracker_pid().expect("the program was started");
        i32::try_from(number).ok().and_then(Pid::from_raw).expect("a process has a number")
    }

    /// Lets the client go, which ends the process if it is there still; the code with which it has ended.
    fn let_go(self) -> Option<i32> {
        let (process, socket) = (self.process(), self.files.socket());
        drop(self.instance);
        assert!(!socket.exists(), "the client removes the socket");
        exit_code(process, WaitIdOptions::empty())
    }
}

/// How often the guest `spin` has said that it lives.
fn beats(output: &str) -> usize {
    output.lines().filter(|line| line.starts_with("beat ")).count()
}

/// The code with which a process of ours ends.
fn exit_code(process: Pid, options: WaitIdOptions) -> Option<i32> {
    let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = wait::until("the end of the program", || {
        waitid(WaitId::Pid(process), options).expect("the program is a child of this process")
    });
    status.exit_status()
}

#[test]
fn configures_starts_pauses_and_resumes_a_machine_and_ends_it_by_a_signal() {
    let mut machine = Machine::start("spin", "beat");
    machine.wait_for("the guest's second beat", |output| beats(output) >= 2);
    assert_eq!(machine.state(), InstanceState::Running);
    assert!(machine.instance.start().is_err(), "a machine starts once");
    machine.instance.pause().expect("the machine pauses");
    assert_eq!(machine.state(), InstanceState::Paused);
    // What was written before the pause may still be on its way.
    thread::sleep(Duration::from_millis(200));
    let before = beats(&machine.output());
    thread::sleep(Duration::from_millis(500));
    assert_eq!(beats(&machine.output()), before, "a paused guest has written");
    machine.instance.resume().expect("the machine goes on");
    assert_eq!(machine.state(), InstanceState::Running);
    machine.wait_for("beats after the pause", |output| beats(output) > before);
    assert_eq!(machine.let_go(), Some(128 + libc::SIGTERM));
}

#[test]
fn stops_a_machine_by_its_keyboard() {
    let mut machine = Machine::start("keyboard", "");
    machine.wait_for("the guest's keyboard", |output| output.contains("who fa ab 41"));
    machine.instance.stop().expect("the keys are pressed");
    // It stays a child until the client has let go: else the number that the client signals could be another's.
    assert_eq!(exit_code(machine.process(), WaitIdOptions::NOWAIT), Some(0));
    assert!(machine.output().contains("keyboard: Ctrl-Alt-Del"), "{}", machine.output());
    assert_eq!(machine.let_go(), Some(0));
}
