//! A machine as the API sees it: what was configured, its state, and what may be asked in which state.

use super::model::{
    ActionType, Balloon, BootSource, Configuration, Console, Drive, DriveUpdate, Entropy, FirecrackerVersion,
    InstanceInfo, Logger, MachineConfig, Metrics, NetworkInterface, NetworkInterfaceUpdate, RateLimiter,
    Serial, VmState, Vsock,
};
use super::request::Request;
use super::response::{Fault, Response};
use super::version;

/// The name of a machine to which nobody gave one: Firecracker's.
pub const DEFAULT_ID: &str = "anonymous-instance";

/// How far a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being configured.
    NotStarted,
    /// Its vCPUs run.
    Running,
    /// They stand still.
    Paused,
}

impl State {
    /// As `GET /` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "Not started",
            Self::Running => "Running",
            Self::Paused => "Paused",
        }
    }
}

/// What is left to do for a request that is in order, by whoever has the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing: this is the answer.
    Answer(Response),
    /// See that these can be opened, then [`Machine::set_boot_source`].
    Boot(BootSource),
    /// See that it can be opened, then [`Machine::set_drive`].
    Drive(Drive),
    /// See that it can be opened, then [`Machine::set_interface`].
    Interface(NetworkInterface),
    /// See that its socket can be made, then [`Machine::set_vsock`].
    Vsock(Vsock),
    /// Change a drive that the guest uses, then [`Machine::set_drive`].
    ChangeDrive(DriveChange),
    /// Change an interface that the guest uses, then [`Machine::set_interface`].
    ChangeInterface(InterfaceChange),
    /// Write the log there.
    Log(Logger),
    /// Write what the guest says at its serial port there.
    Serial(Serial),
    /// Write metrics there.
    Metrics(Metrics),
    /// Write them now.
    FlushMetrics,
    /// Have the guest give so many MiB.
    Inflate(u32),
    /// Answer with what the guest tells of its memory.
    BalloonStatistics,
    /// Ask for that every so many seconds.
    BalloonInterval(u16),
    /// Start the machine with this configuration, then [`Machine::set_state`].
    Start(Box<Configuration>),
    /// Press Ctrl, Alt and Del on the guest's keyboard.
    CtrlAltDel,
    /// Let no vCPU run, then [`Machine::set_state`].
    Pause,
    /// Let all run, then [`Machine::set_state`].
    Resume,
}

/// How a drive changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveChange {
    /// Which of the guest's disks it is, from 0.
    pub index: usize,
    /// The drive as it is to be.
    pub drive: Drive,
    /// Its file is to be looked at again, or is another one.
    pub file: bool,
    /// The limits that change.
    pub limits: RateLimiter,
}

/// How an interface changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceChange {
    /// Which of the guest's interfaces it is, from 0.
    pub index: usize,
    /// The interface as it is to be.
    pub interface: NetworkInterface,
    /// The limits that change of what comes to the guest.
    pub receive: RateLimiter,
    /// The same of what goes from it.
    pub transmit: RateLimiter,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    id: String,
    state: State,
    config: MachineConfig,
    boot_source: Option<BootSource>,
    drives: Vec<Drive>,
    interfaces: Vec<NetworkInterface>,
    entropy: Option<Entropy>,
    balloon: Option<Balloon>,
    vsock: Option<Vsock>,
    console: Option<Console>,
}

/// When a request may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    BeforeStart,
    AfterStart,
}

fn when(request: &Request) -> When {
    match request {
        Request::GetInstance
        | Request::GetVersion
        | Request::GetConfiguration
        | Request::GetBalloon
        | Request::GetMachineConfig => When::Always,
        Request::PutMachineConfig(_)
        | Request::PatchMachineConfig(_)
        | Request::PutBootSource(_)
        | Request::PutDrive(_)
        | Request::PutNetworkInterface(_)
        | Request::PutEntropy(_)
        | Request::PutVsock(_)
        | Request::PutConsole(_)
        | Request::PutLogger(_)
        | Request::PutMetrics(_)
        | Request::PutSerial(_)
        | Request::PutBalloon(_) => When::BeforeStart,
        Request::PutAction(action) => match action.action_type {
            ActionType::InstanceStart => When::BeforeStart,
            ActionType::SendCtrlAltDel | ActionType::FlushMetrics => When::AfterStart,
        },
        Request::PatchDrive(_)
        | Request::PatchNetworkInterface(_)
        | Request::PatchBalloon(_)
        | Request::GetBalloonStatistics
        | Request::PatchBalloonStatistics(_)
        | Request::PatchVm(_) => When::AfterStart,
    }
}

impl Machine {
    /// A machine that is not configured.
    pub fn new(id: String) -> Self {
        Self {
            id,
            state: State::NotStarted,
            config: MachineConfig::DEFAULT,
            boot_source: None,
            drives: Vec::new(),
            interfaces: Vec::new(),
            entropy: None,
            balloon: None,
            vsock: None,
            console: None,
        }
    }

    /// A machine with a whole configuration.
    pub fn configured(id: String, configuration: Configuration) -> Self {
        let Configuration {
            boot_source,
            machine_config,
            drives,
            network_interfaces,
            entropy,
            balloon,
            vsock,
            console,
            // The command line's to set up.
            logger: _,
            metrics: _,
            serial: _,
            // What is absent here.
            cpu_config: _,
            mmds_config: _,
            pmem: _,
            memory_hotplug: _,
        } = configuration;
        let config = machine_config.or(&MachineConfig::DEFAULT);
        Self {
            config,
            boot_source: Some(boot_source),
            drives,
            interfaces: network_interfaces,
            entropy,
            balloon,
            vsock,
            console,
            ..Self::new(id)
        }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes a request: says what is to be done about it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn take(&mut self, request: Request) -> Result<Order, Fault> {
        self.permit(&request)?;
        Ok(match request {
            Request::GetInstance => answer(&self.instance()),
            Request::GetVersion => answer(&FirecrackerVersion {
                firecracker_version: version::FIRECRACKER,
                ringfence_version: env!("CARGO_PKG_VERSION"),
            }),
            Request::GetConfiguration => Order::Answer(self.configuration_answer()),
            Request::GetMachineConfig => answer(&self.config),
            Request::PutMachineConfig(config) => {
                self.config = config.or(&MachineConfig::DEFAULT);
                Order::Answer(Response::DONE)
            }
            Request::PatchMachineConfig(config) => {
                self.config = config.or(&self.config);
                Order::Answer(Response::DONE)
            }
            Request::PutBootSource(source) => Order::Boot(source),
            Request::PutDrive(drive) => self.check_drive(drive)?,
            Request::PatchDrive(update) => Order::ChangeDrive(self.changed_drive(update)?),
            Request::PutNetworkInterface(interface) => Order::Interface(interface),
            Request::PatchNetworkInterface(update) => {
                Order::ChangeInterface(self.changed_interface(&update)?)
            }
            Request::PutLogger(logger) => Order::Log(logger),
            Request::PutSerial(serial) => Order::Serial(serial),
            Request::PutMetrics(metrics) => Order::Metrics(metrics),
            Request::PutEntropy(entropy) => {
                self.entropy = Some(entropy);
                Order::Answer(Response::DONE)
            }
            Request::PutConsole(console) => {
                self.console = Some(console);
                Order::Answer(Response::DONE)
            }
            Request::PutBalloon(balloon) => {
                self.balloon = Some(balloon);
                Order::Answer(Response::DONE)
            }
            Request::GetBalloon => answer(self.balloon()?),
            Request::PatchBalloon(update) => self.inflate(update.amount_mib)?,
            Request::GetBalloonStatistics => {
                self.statistics_interval()?;
                Order::BalloonStatistics
            }
            Request::PatchBalloonStatistics(update) => self.ask_every(update.stats_polling_interval_s)?,
            Request::PutVsock(vsock) => Order::Vsock(vsock),
            Request::PutAction(action) => match action.action_type {
                ActionType::InstanceStart => Order::Start(Box::new(self.configuration()?)),
                ActionType::SendCtrlAltDel => Order::CtrlAltDel,
                ActionType::FlushMetrics => Order::FlushMetrics,
            },
            Request::PatchVm(vm) => match (vm.state, self.state) {
                (VmState::Paused, State::Paused) | (VmState::Resumed, State::Running) => {
                    Order::Answer(Response::DONE)
                }
                (VmState::Paused, _) => Order::Pause,
                (VmState::Resumed, _) => Order::Resume,
            },
        })
    }

    fn permit(&self, request: &Request) -> Result<(), Fault> {
        match (when(request), self.state) {
            (When::BeforeStart, State::Running | State::Paused) => {
                Err(Fault::new("The requested operation is not supported after starting the microVM."))
            }
            (When::AfterStart, State::NotStarted) => {
                Err(Fault::new("The requested operation is not supported before starting the microVM."))
            }
            _ => Ok(()),
        }
    }

    fn instance(&self) -> InstanceInfo<'_> {
        InstanceInfo {
            id: &self.id,
            state: self.state.name(),
            vmm_version: version::FIRECRACKER,
            app_name: version::APP_NAME,
        }
    }

    /// What there is, also before it is whole.
    fn configuration_answer(&self) -> Response {
        let mut members = serde_json::json!({
            "boot-source": self.boot_source,
            "machine-config": self.config,
            "drives": self.drives,
            "network-interfaces": self.interfaces,
            "entropy": self.entropy,
            "balloon": self.balloon,
            "vsock": self.vsock,
        });
        // Clients of Firecracker's do not know it.
        if let Some(console) = self.console {
            members["console"] = serde_json::json!(console);
        }
        Response::json(&members)
    }

    fn configuration(&self) -> Result<Configuration, Fault> {
        let boot_source = self.boot_source.clone().ok_or_else(|| {
            Fault::new("Cannot start microvm without kernel configuration: PUT /boot-source names the kernel")
        })?;
        Ok(Configuration {
            machine_config: self.config.clone(),
            drives: self.drives.clone(),
            network_interfaces: self.interfaces.clone(),
            entropy: self.entropy.clone(),
            balloon: self.balloon,
            vsock: self.vsock.clone(),
            console: self.console,
            ..Configuration::of(boot_source)
        })
    }

    fn balloon(&mut self) -> Result<&mut Balloon, Fault> {
        let none = || Fault::new("no balloon is configured: PUT /balloon makes one before the start");
        self.balloon.as_mut().ok_or_else(none)
    }

    fn inflate(&mut self, mib: u32) -> Result<Order, Fault> {
        let memory_mib = self.config.mem_size_mib.unwrap_or_default();
        let balloon = self.balloon()?;
        if mib > memory_mib {
            return Err(Fault::new(format_args!(
                "a balloon of {mib} MiB is larger than the guest's memory of {memory_mib} MiB"
            )));
        }
        balloon.amount_mib = mib;
        Ok(Order::Inflate(mib))
    }

    /// The queue for statistics is there from the start, or never.
    fn statistics_interval(&mut self) -> Result<&mut u16, Fault> {
        let interval = &mut self.balloon()?.stats_polling_interval_s;
        if *interval == 0 {
            return Err(Fault::new(
                "the balloon has no statistics: stats_polling_interval_s of PUT /balloon gives it some, before the start",
            ));
        }
        Ok(interval)
    }

    fn ask_every(&mut self, seconds: u16) -> Result<Order, Fault> {
        let interval = self.statistics_interval()?;
        if seconds == 0 {
            return Err(Fault::new(
                "statistics cannot be switched off after the start; name a longer interval",
            ));
        }
        *interval = seconds;
        Ok(Order::BalloonInterval(seconds))
    }

    fn check_drive(&self, drive: Drive) -> Result<Order, Fault> {
        let others = self.drives.iter().filter(|other| other.drive_id != drive.drive_id);
        if let Some(root) = others.filter(|other| other.is_root_device).find(|_| drive.is_root_device) {
            return Err(Fault::new(format_args!(
                "the drive {} is the root device already, and there is one at most",
                root.drive_id
            )));
        }
        Ok(Order::Drive(drive))
    }

    /// The guest has its root device first, whichever place that has here.
    fn changed_drive(&self, update: DriveUpdate) -> Result<DriveChange, Fault> {
        let mut order: Vec<&Drive> = self.drives.iter().collect();
        order.sort_by_key(|drive| !drive.is_root_device);
        let index = order.iter().position(|drive| drive.drive_id == update.drive_id);
        let index = index.ok_or_else(|| {
            let DriveUpdate { drive_id, .. } = &update;
            Fault::new(format_args!("the machine has no drive {drive_id}: a drive is added before the start"))
        })?;
        let mut drive = order[index].clone();
        let file = update.path_on_host.is_some();
        if let Some(path) = update.path_on_host {
            drive.path_on_host = path;
        }
        let limits = update.rate_limiter.unwrap_or_default();
        drive.rate_limiter = limits.instead_of(drive.rate_limiter);
        Ok(DriveChange { index, drive, file, limits })
    }

    fn changed_interface(&self, update: &NetworkInterfaceUpdate) -> Result<InterfaceChange, Fault> {
        let NetworkInterfaceUpdate { iface_id, rx_rate_limiter, tx_rate_limiter } = update;
        let index = self.interfaces.iter().position(|interface| interface.iface_id == *iface_id);
        let index = index.ok_or_else(|| {
            Fault::new(format_args!(
                "the machine has no network interface {iface_id}: an interface is added before the start"
            ))
        })?;
        let mut interface = self.interfaces[index].clone();
        let (receive, transmit) = (rx_rate_limiter.unwrap_or_default(), tx_rate_limiter.unwrap_or_default());
        interface.rx_rate_limiter = receive.instead_of(interface.rx_rate_limiter);
        interface.tx_rate_limiter = transmit.instead_of(interface.tx_rate_limiter);
        Ok(InterfaceChange { index, interface, receive, transmit })
    }

    /// What the machine is to run.
    pub fn set_boot_source(&mut self, source: BootSource) {
        self.boot_source = Some(source);
    }

    /// A new drive, or one in the place of that with the same name.
    pub fn set_drive(&mut self, drive: Drive) {
        match self.drives.iter_mut().find(|other| other.drive_id == drive.drive_id) {
            Some(other) => *other = drive,
            None => self.drives.push(drive),
        }
    }

    /// A new interface, or one in the place of that with the same name.
    pub fn set_interface(&mut self, interface: NetworkInterface) {
        match self.interfaces.iter_mut().find(|other| other.iface_id == interface.iface_id) {
            Some(other) => *other = interface,
            None => self.interfaces.push(interface),
        }
    }

    /// The socket device, the one there is.
    pub fn set_vsock(&mut self, vsock: Vsock) {
        self.vsock = Some(vsock);
    }

    /// It was started, paused or resumed.
    pub fn set_state(&mut self, state: State) {
        self.state = state;
    }
}

fn answer(value: &impl serde::Serialize) -> Order {
    Order::Answer(Response::json(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::Message;
    use crate::api::request;

    const STATES: [State; 3] = [State::NotStarted, State::Running, State::Paused];

    fn request(line: &str) -> Request {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let message = Message { method: word(), path: word(), body: word().into_bytes() };
        request::parse(&message).unwrap_or_else(|fault| panic!("{line}: {fault}"))
    }

    fn machine(state: State) -> Machine {
        let mut machine = Machine::new("m".into());
        machine.set_boot_source(BootSource {
            kernel_image_path: "k".into(),
            initrd_path: None,
            boot_args: None,
        });
        let (deflate_on_oom, free_page_reporting) = (true, false);
        let stats_polling_interval_s = 1;
        machine.balloon = Some(Balloon {
            amount_mib: 1,
            deflate_on_oom,
            stats_polling_interval_s,
            free_page_reporting,
            free_page_hinting: None,
        });
        let Request::PutDrive(drive) =
            request(r#"PUT /drives/d {"drive_id":"d","path_on_host":"d.img","is_root_device":false}"#)
        else {
            panic!("no drive")
        };
        machine.set_drive(drive);
        let Request::PutNetworkInterface(interface) =
            request(r#"PUT /network-interfaces/n {"iface_id":"n","host_dev_name":"tap0"}"#)
        else {
            panic!("no interface")
        };
        machine.set_interface(interface);
        machine.set_state(state);
        machine
    }

    #[test]
    fn a_change_names_the_disk_as_the_guest_counts_and_keeps_what_it_does_not_speak_of() {
        let mut running = machine(State::Running);
        let root = r#"PUT /drives/r {"drive_id":"r","path_on_host":"r.img","is_root_device":true}"#;
        let Request::PutDrive(root) = request(root) else { panic!("no drive") };
        running.set_drive(root);
        let mut change = |line: &str| match running.take(request(line)) {
            Ok(Order::ChangeDrive(change)) => change,
            other => panic!("{line}: {other:?}"),
        };
        let first = change(r#"PATCH /drives/r {"drive_id":"r","path_on_host":"s.img"}"#);
        assert_eq!((first.index, first.file, first.drive.path_on_host.to_str()), (0, true, Some("s.img")));
        assert_eq!(first.drive.rate_limiter, None);
        let limits = r#"PATCH /drives/d {"drive_id":"d","rate_limiter":{"ops":{"size":1,"refill_time":9}}}"#;
        let second = change(limits);
        assert_eq!(
            (second.index, second.file, second.drive.path_on_host.to_str()),
            (1, false, Some("d.img"))
        );
        running.set_drive(second.drive);
        let mut change = |line: &str| match running.take(request(line)) {
            Ok(Order::ChangeDrive(change)) => change.drive.rate_limiter,
            other => panic!("{line}: {other:?}"),
        };
        let bytes = change(&limits.replace("ops", "bandwidth")).unwrap();
        assert!(bytes.bandwidth.is_some() && bytes.ops.is_some());
        assert_eq!(change(&limits.replace(":9", ":0")), None, "no limit any more");
        for line in [r#"PATCH /drives/x {"drive_id":"x"}"#, r#"PATCH /network-interfaces/x {"iface_id":"x"}"#]
        {
            let fault = running.take(request(line)).unwrap_err().to_string();
            assert!(fault.contains("has no"), "{fault}");
        }
    }

    #[test]
    fn a_balloon_grows_up_to_the_memory_and_keeps_or_lacks_its_statistics() {
        let mut running = machine(State::Running);
        let mut take = |line| running.take(request(line)).map_err(|fault| fault.to_string());
        assert_eq!(take(r#"PATCH /balloon {"amount_mib":128}"#), Ok(Order::Inflate(128)));
        let larger = take(r#"PATCH /balloon {"amount_mib":129}"#).unwrap_err();
        assert!(larger.contains("larger than the guest's memory of 128 MiB"), "{larger}");
        let Ok(Order::Answer(answer)) = take("GET /balloon") else { panic!("no answer") };
        assert!(answer.body.starts_with(r#"{"amount_mib":128,"#), "{}", answer.body);
        let interval = r#"PATCH /balloon/statistics {"stats_polling_interval_s":7}"#;
        assert_eq!(take(interval), Ok(Order::BalloonInterval(7)));
        assert!(take(&interval.replace('7', "0")).unwrap_err().contains("cannot be switched off"));
        if let Some(balloon) = &mut running.balloon {
            balloon.stats_polling_interval_s = 0;
        }
        for line in ["GET /balloon/statistics", interval] {
            let fault = running.take(request(line)).unwrap_err().to_string();
            assert!(fault.contains("has no statistics"), "{fault}");
        }
        running.balloon = None;
        let fault = running.take(request(r#"PATCH /balloon {"amount_mib":1}"#)).unwrap_err().to_string();
        assert!(fault.contains("no balloon is configured"), "{fault}");
    }

    /// Each request, and in which of the states it may be made.
    #[test]
    fn what_may_be_asked_when() {
        let table = [
            ("GET /", [true, true, true]),
            ("GET /version", [true, true, true]),
            ("GET /vm/config", [true, true, true]),
            ("GET /machine-config", [true, true, true]),
            (r#"PUT /machine-config {"vcpu_count":1,"mem_size_mib":64}"#, [true, false, false]),
            (r#"PATCH /machine-config {"vcpu_count":1}"#, [true, false, false]),
            (r#"PUT /boot-source {"kernel_image_path":"k"}"#, [true, false, false]),
            (
                r#"PUT /drives/d {"drive_id":"d","path_on_host":"x","is_root_device":false}"#,
                [true, false, false],
            ),
            (r#"PUT /network-interfaces/n {"iface_id":"n","host_dev_name":"tap0"}"#, [true, false, false]),
            (r#"PATCH /drives/d {"drive_id":"d"}"#, [false, true, true]),
            (r#"PATCH /network-interfaces/n {"iface_id":"n"}"#, [false, true, true]),
            (r#"PUT /balloon {"amount_mib":1,"deflate_on_oom":true}"#, [true, false, false]),
            (r#"PATCH /balloon {"amount_mib":2}"#, [false, true, true]),
            ("GET /balloon/statistics", [false, true, true]),
            (r#"PATCH /balloon/statistics {"stats_polling_interval_s":2}"#, [false, true, true]),
            (r#"PUT /vsock {"guest_cid":3,"uds_path":"v"}"#, [true, false, false]),
            ("PUT /entropy {}", [true, false, false]),
            (r#"PUT /console {"kind":"virtio"}"#, [true, false, false]),
            (r#"PUT /actions {"action_type":"InstanceStart"}"#, [true, false, false]),
            (r#"PUT /actions {"action_type":"SendCtrlAltDel"}"#, [false, true, true]),
            (r#"PUT /actions {"action_type":"FlushMetrics"}"#, [false, true, true]),
            (r#"PUT /logger {"level":"Debug"}"#, [true, false, false]),
            (r#"PUT /metrics {"metrics_path":"m"}"#, [true, false, false]),
            (r#"PUT /serial {"serial_out_path":"s"}"#, [true, false, false]),
            (r#"PATCH /vm {"state":"Paused"}"#, [false, true, true]),
            (r#"PATCH /vm {"state":"Resumed"}"#, [false, true, true]),
        ];
        for (line, permitted) in table {
            for (state, expected) in STATES.into_iter().zip(permitted) {
                let result = machine(state).take(request(line));
                assert_eq!(result.is_ok(), expected, "{line} when {}: {result:?}", state.name());
            }
        }
    }

    #[test]
    fn pausing_and_resuming_are_idempotent() {
        let order = |state, line| machine(state).take(request(line)).unwrap();
        let (pause, resume) = (r#"PATCH /vm {"state":"Paused"}"#, r#"PATCH /vm {"state":"Resumed"}"#);
        assert_eq!(order(State::Running, pause), Order::Pause);
        assert_eq!(order(State::Paused, pause), Order::Answer(Response::DONE));
        assert_eq!(order(State::Paused, resume), Order::Resume);
        assert_eq!(order(State::Running, resume), Order::Answer(Response::DONE));
    }

    #[test]
    fn a_machine_without_a_kernel_does_not_start() {
        let mut machine = Machine::new(String::new());
        let fault = machine.take(request(r#"PUT /actions {"action_type":"InstanceStart"}"#)).unwrap_err();
        assert!(fault.to_string().contains("kernel"), "{fault}");
    }

    #[test]
    fn put_sets_all_and_patch_a_part_of_a_machine_config() {
        let mut machine = machine(State::NotStarted);
        let mut config = |line: &str| {
            assert!(matches!(machine.take(request(line)), Ok(Order::Answer(_))));
            let Order::Answer(answer) = machine.take(Request::GetMachineConfig).unwrap() else {
                panic!("no answer")
            };
            answer.body
        };
        assert_eq!(
            config("GET /"),
            r#"{"vcpu_count":1,"mem_size_mib":128,"smt":false,"track_dirty_pages":false,"huge_pages":"None"}"#
        );
        assert_eq!(
            config(r#"PATCH /machine-config {"vcpu_count":2,"huge_pages":"2M"}"#),
            r#"{"vcpu_count":2,"mem_size_mib":128,"smt":false,"track_dirty_pages":false,"huge_pages":"2M"}"#
        );
        assert_eq!(
            config(r#"PUT /machine-config {"vcpu_count":3,"mem_size_mib":64}"#),
            r#"{"vcpu_count":3,"mem_size_mib":64,"smt":false,"track_dirty_pages":false,"huge_pages":"None"}"#
        );
    }

    #[test]
    fn a_drive_takes_the_place_of_that_with_its_name_and_one_is_the_root_device() {
        let mut machine = machine(State::NotStarted);
        let drive = |id: &str, path: &str, root| {
            request(&format!(
                r#"PUT /drives/{id} {{"drive_id":"{id}","path_on_host":"{path}","is_root_device":{root}}}"#
            ))
        };
        for (id, path) in [("a", "1"), ("b", "2"), ("a", "3")] {
            let Ok(Order::Drive(drive)) = machine.take(drive(id, path, id == "a")) else { panic!("{id}") };
            machine.set_drive(drive);
        }
        let paths: Vec<_> = machine.drives.iter().map(|drive| drive.path_on_host.to_str().unwrap()).collect();
        assert_eq!(paths, ["d.img", "3", "2"]);
        let fault = machine.take(drive("b", "2", true)).unwrap_err();
        assert!(fault.to_string().contains("the drive a is the root device"), "{fault}");
    }
}
