//! `fctools`: asynchronous, on hyper and tokio, HTTP/1.1 over connections that it keeps.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use fctools::process_spawner::DirectProcessSpawner;
use fctools::runtime::tokio::TokioRuntime;
use fctools::vm::api::VmApi as _;
use fctools::vm::configuration::{InitMethod, VmConfiguration, VmConfigurationData};
use fctools::vm::models::{BalloonDevice, BootSource, Drive, EntropyDevice, MachineConfiguration};
use fctools::vm::shutdown::{VmShutdownAction, VmShutdownMethod, VmShutdownOutcome};
use fctools::vm::{Vm, VmState};
use fctools::vmm::arguments::{VmmApiSocket, VmmArguments};
use fctools::vmm::executor::unrestricted::UnrestrictedVmmExecutor;
use fctools::vmm::id::VmmId;
use fctools::vmm::installation::VmmInstallation;
use fctools::vmm::ownership::VmmOwnershipModel;
use fctools::vmm::resource::system::ResourceSystem;
use fctools::vmm::resource::{MovedResourceType, ResourceType};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time;

use crate::Files;

/// How long each step may take before its test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Several ticks of the guest that writes at each.
const SILENCE: Duration = Duration::from_millis(500);

struct Machine {
    files: Files,
    vm: Vm<UnrestrictedVmmExecutor, DirectProcessSpawner, TokioRuntime>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Machine {
    /// Configured and started.
    async fn start(guest: &str, arguments: &str) -> Self {
        let files = Files::of(guest);
        let program = files.firecracker();
        let mut resources =
            ResourceSystem::new(DirectProcessSpawner, TokioRuntime, VmmOwnershipModel::Shared);
        let mut file = |path| {
            let place = ResourceType::Moved(MovedResourceType::HardLinkedOrCopied);
            resources.create_resource(path, place).expect("the client takes a file")
        };
        let data = VmConfigurationData {
            boot_source: BootSource {
                kernel_image: file(files.kernel()),
                boot_args: Some(arguments.into()),
                initrd: None,
            },
            drives: vec![Drive {
                drive_id: "data".into(),
                is_root_device: false,
                cache_type: None,
                partuuid: None,
                is_read_only: Some(true),
                block: Some(file(files.disk())),
                rate_limiter: None,
                io_engine: None,
                socket: None,
            }],
            machine_configuration: MachineConfiguration {
                vcpu_count: 2,
                mem_size_mib: 96,
                smt: None,
                track_dirty_pages: None,
                huge_pages: None,
            },
            cpu_template: None,
            network_interfaces: Vec::new(),
            balloon_device: Some(BalloonDevice {
                amount_mib: 8,
                deflate_on_oom: true,
                stats_polling_interval_s: None,
            }),
            vsock_device: None,
            logger_system: None,
            metrics_system: None,
            mmds_configuration: None,
            entropy_device: Some(EntropyDevice::default()),
        };
        let id = VmmId::new("fctools").expect("an identifier");
        let executor =
            UnrestrictedVmmExecutor::new(VmmArguments::new(VmmApiSocket::Enabled(files.socket()))).id(id);
        let installation = VmmInstallation::new(program.clone(), program.clone(), program);
        let configuration = VmConfiguration::New { init_method: InitMethod::ViaApiCalls, data };
        let mut vm =
            Vm::prepare(executor, resources, installation, configuration).await.expect("the client is ready");
        vm.start(PATIENCE).await.expect("the machine starts");
        let pipes = vm.take_pipes().expect("the program's output is a pipe");
        let output = BufReader::new(pipes.stdout.into_inner()).lines();
        files.expect_configured();
        Self { files, vm, output }
    }

    /// Reads what the guest writes up to a line with `text`.
    async fn wait_for(&mut self, text: &str) {
        let found = async {
            while let Some(line) = self.output.next_line().await.expect("the guest writes text") {
                if line.contains(text) {
                    return;
                }
            }
            panic!("the guest has ended without {text:?}");
        };
        time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {text:?} from the guest"));
    }

    /// Reads what the guest has written, until it writes no more.
    async fn expect_silence(&mut self) {
        let silence = async {
            while let Ok(line) = time::timeout(SILENCE, self.output.next_line()).await {
                line.expect("the guest writes text").expect("the guest is there still");
            }
        };
        time::timeout(PATIENCE, silence).await.expect("a paused guest writes nothing");
    }

    async fn is_paused(&mut self) -> bool {
        let info = self.vm.get_info().await.expect("an instance");
        assert_eq!((info.id.as_str(), info.app_name.as_str()), ("fctools", "Firecracker"));
        info.is_paused
    }

    async fn end(&mut self, method: VmShutdownMethod) -> VmShutdownOutcome {
        let action = VmShutdownAction { method, timeout: Some(PATIENCE), graceful: true };
        let outcome = self.vm.shutdown([action]).await.expect("the machine ends");
        self.vm.cleanup().await.expect("the client clears up");
        assert!(!self.files.socket().exists(), "the client removes the socket");
        outcome
    }
}

#[tokio::test]
async fn configures_starts_pauses_and_resumes_a_machine_and_kills_it() {
    let mut machine = Machine::start("spin", "beat").await;
    machine.wait_for("beat 2").await;
    assert!(!machine.is_paused().await);
    let version = machine.vm.get_firecracker_version().await.expect("a version");
    assert!(version.starts_with("1."), "{version}");
    let configured = machine.vm.get_machine_configuration().await.expect("a configuration");
    assert_eq!((configured.vcpu_count, configured.mem_size_mib), (2, 96));
    assert_eq!(machine.vm.get_balloon_device().await.expect("a balloon").amount_mib, 8);
    machine.vm.pause().await.expect("the machine pauses");
    assert!(machine.is_paused().await);
    assert_eq!(machine.vm.get_state(), VmState::Paused);
    machine.expect_silence().await;
    machine.vm.resume().await.expect("the machine goes on");
    assert!(!machine.is_paused().await);
    machine.wait_for("beat ").await;
    let outcome = machine.end(VmShutdownMethod::PauseThenKill).await;
    assert_eq!(outcome.exit_status.signal(), Some(libc::SIGKILL));
}

#[tokio::test]
async fn stops_a_machine_by_its_keyboard() {
    let mut machine = Machine::start("keyboard", "").await;
    machine.wait_for("who fa ab 41").await;
    let outcome = machine.end(VmShutdownMethod::CtrlAltDel).await;
    assert!(outcome.is_fully_graceful(), "{outcome:?}");
    machine.wait_for("keyboard: Ctrl-Alt-Del").await;
}
