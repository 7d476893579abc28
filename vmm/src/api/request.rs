//! What a client asks for: method, path and body as a typed request, or why they are none.

use serde::de::DeserializeOwned;

use super::http::Message;
use super::model::{
    Action, Balloon, BalloonStatisticsUpdate, BalloonUpdate, BootSource, Console, Drive, DriveUpdate,
    Entropy, Logger, MachineConfig, Metrics, NetworkInterface, NetworkInterfaceUpdate, Serial, Vm, Vsock,
};
use super::response::Fault;

/// What a client asks for. Its form is in order; whether it may be asked now, [`super::Machine`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GET /`
    GetInstance,
    /// `GET /version`
    GetVersion,
    /// `GET /vm/config`
    GetConfiguration,
    /// `GET /machine-config`
    GetMachineConfig,
    /// `PUT /machine-config`
    PutMachineConfig(MachineConfig),
    /// `PATCH /machine-config`
    PatchMachineConfig(MachineConfig),
    /// `PUT /boot-source`
    PutBootSource(BootSource),
    /// `PUT /drives/{drive_id}`
    PutDrive(Drive),
    /// `PATCH /drives/{drive_id}`
    PatchDrive(DriveUpdate),
    /// `PUT /network-interfaces/{iface_id}`
    PutNetworkInterface(NetworkInterface),
    /// `PATCH /network-interfaces/{iface_id}`
    PatchNetworkInterface(NetworkInterfaceUpdate),
    /// `GET /balloon`
    GetBalloon,
    /// `PUT /balloon`
    PutBalloon(Balloon),
    /// `PATCH /balloon`
    PatchBalloon(BalloonUpdate),
    /// `GET /balloon/statistics`
    GetBalloonStatistics,
    /// `PATCH /balloon/statistics`
    PatchBalloonStatistics(BalloonStatisticsUpdate),
    /// `PUT /vsock`
    PutVsock(Vsock),
    /// `PUT /logger`
    PutLogger(Logger),
    /// `PUT /serial`
    PutSerial(Serial),
    /// `PUT /metrics`
    PutMetrics(Metrics),
    /// `PUT /entropy`
    PutEntropy(Entropy),
    /// `PUT /console`
    PutConsole(Console),
    /// `PUT /actions`
    PutAction(Action),
    /// `PATCH /vm`
    PatchVm(Vm),
}

impl Request {
    /// Its method, and its resource by the name that Firecracker's metrics have for it, as far as it has one.
    pub fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::GetInstance => ("GET", "instance_info"),
            Self::GetVersion => ("GET", "vmm_version"),
            Self::GetConfiguration => ("GET", "vm_config"),
            Self::GetMachineConfig => ("GET", "machine_cfg"),
            Self::GetBalloon => ("GET", "balloon"),
            Self::GetBalloonStatistics => ("GET", "balloon_stats"),
            Self::PutMachineConfig(_) => ("PUT", "machine_cfg"),
            Self::PutBootSource(_) => ("PUT", "boot_source"),
            Self::PutDrive(_) => ("PUT", "drive"),
            Self::PutNetworkInterface(_) => ("PUT", "network"),
            Self::PutBalloon(_) => ("PUT", "balloon"),
            Self::PutVsock(_) => ("PUT", "vsock"),
            Self::PutLogger(_) => ("PUT", "logger"),
            Self::PutSerial(_) => ("PUT", "serial"),
            Self::PutMetrics(_) => ("PUT", "metrics"),
            Self::PutEntropy(_) => ("PUT", "entropy"),
            Self::PutConsole(_) => ("PUT", "console"),
            Self::PutAction(_) => ("PUT", "actions"),
            Self::PatchMachineConfig(_) => ("PATCH", "machine_cfg"),
            Self::PatchDrive(_) => ("PATCH", "drive"),
            Self::PatchNetworkInterface(_) => ("PATCH", "network"),
            Self::PatchBalloon(_) => ("PATCH", "balloon"),
            Self::PatchBalloonStatistics(_) => ("PATCH", "balloon_stats"),
            Self::PatchVm(_) => ("PATCH", "vm"),
        }
    }
}

/// The methods of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
}

impl Method {
    /// As requests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        [Self::Get, Self::Put, Self::Patch].into_iter().find(|method| method.name() == name)
    }
}

/// What a path is for.
#[derive(Debug)]
pub struct Route {
    /// With which method.
    pub method: Method,
    /// The path; `{...}` stands for one part of any text.
    pub path: &'static str,
    read: Reader,
}

#[derive(Debug)]
enum Reader {
    /// A request without a body.
    Plain(fn() -> Request),
    /// The body, and the text at `{...}`.
    Body(fn(&str, &[u8]) -> Result<Request, Fault>),
    /// Part of Firecracker's API and not there.
    Absent(&'static str),
}

const fn get(path: &'static str, request: fn() -> Request) -> Route {
    Route { method: Method::Get, path, read: Reader::Plain(request) }
}

const fn put(path: &'static str, read: fn(&str, &[u8]) -> Result<Request, Fault>) -> Route {
    Route { method: Method::Put, path, read: Reader::Body(read) }
}

const fn patch(path: &'static str, read: fn(&str, &[u8]) -> Result<Request, Fault>) -> Route {
    Route { method: Method::Patch, path, read: Reader::Body(read) }
}

const fn absent(method: Method, path: &'static str, what: &'static str) -> Route {
    Route { method, path, read: Reader::Absent(what) }
}

/// Everything that may be asked for, and what Firecracker has and this program has not. `docs/api.yaml` describes the same.
pub const ROUTES: &[Route] = &[
    get("/", || Request::GetInstance),
    get("/version", || Request::GetVersion),
    get("/vm/config", || Request::GetConfiguration),
    get("/machine-config", || Request::GetMachineConfig),
    put("/machine-config", |_, body| whole_machine_config(body)),
    patch("/machine-config", |_, body| json(body).map(Request::PatchMachineConfig)),
    put("/boot-source", |_, body| json(body).map(Request::PutBootSource)),
    put("/drives/{drive_id}", drive),
    patch("/drives/{drive_id}", drive_update),
    put("/network-interfaces/{iface_id}", network_interface),
    patch("/network-interfaces/{iface_id}", network_interface_update),
    get("/balloon", || Request::GetBalloon),
    put("/balloon", |_, body| json(body).map(Request::PutBalloon)),
    patch("/balloon", |_, body| json(body).map(Request::PatchBalloon)),
    get("/balloon/statistics", || Request::GetBalloonStatistics),
    patch("/balloon/statistics", |_, body| json(body).map(Request::PatchBalloonStatistics)),
    put("/vsock", |_, body| json(body).map(Request::PutVsock)),
    put("/logger", |_, body| json(body).map(Request::PutLogger)),
    put("/serial", |_, body| json(body).map(Request::PutSerial)),
    put("/metrics", |_, body| json(body).map(Request::PutMetrics)),
    put("/entropy", |_, body| json(body).map(Request::PutEntropy)),
    put("/console", |_, body| json(body).map(Request::PutConsole)),
    put("/actions", |_, body| json(body).map(Request::PutAction)),
    patch("/vm", |_, body| json(body).map(Request::PatchVm)),
    absent(Method::Patch, "/balloon/hinting/start", HINTING),
    absent(Method::Get, "/balloon/hinting/status", HINTING),
    absent(Method::Patch, "/balloon/hinting/stop", HINTING),
    absent(Method::Put, "/cpu-config", "CPU templates"),
    absent(Method::Put, "/snapshot/create", SNAPSHOTS),
    absent(Method::Put, "/snapshot/load", SNAPSHOTS),
    absent(Method::Get, "/mmds", MMDS),
    absent(Method::Put, "/mmds", MMDS),
    absent(Method::Patch, "/mmds", MMDS),
    absent(Method::Put, "/mmds/config", MMDS),
    absent(Method::Put, "/pmem/{id}", "pmem devices"),
    absent(Method::Patch, "/pmem/{id}", "pmem devices"),
    absent(Method::Get, "/hotplug/memory", HOTPLUG),
    absent(Method::Put, "/hotplug/memory", HOTPLUG),
    absent(Method::Patch, "/hotplug/memory", HOTPLUG),
];

const HINTING: &str = "free page hinting, beside free page reporting,";
const SNAPSHOTS: &str = "snapshots";
const MMDS: &str = "the metadata service (MMDS)";
const HOTPLUG: &str = "memory hotplug";

impl Route {
    /// Whether requests of this route are ever carried out.
    pub fn is_there(&self) -> bool {
        !matches!(self.read, Reader::Absent(_))
    }

    /// The text at `{...}`, empty where the path has none; `None` for another path.
    fn matches<'path>(&self, path: &'path str) -> Option<&'path str> {
        let mut variable = "";
        let mut parts = path.split('/');
        for expected in self.path.split('/') {
            let part = parts.next()?;
            if expected.starts_with('{') {
                variable = part;
            } else if part != expected {
                return None;
            }
        }
        parts.next().is_none().then_some(variable)
    }
}

/// Reads a request.
///
/// # Errors
/// Why it is none, as the answer's `fault_message`.
pub fn parse(message: &Message) -> Result<Request, Fault> {
    let Message { method, path, body } = message;
    // As Firecracker has it, a slash at the end changes nothing.
    let bare = path.split('?').next().unwrap_or_default();
    let bare = if bare.len() > 1 { bare.trim_end_matches('/') } else { bare };
    let unknown = || Fault::new(format_args!("Invalid request method and/or path: {method} {path}."));
    let method = Method::by_name(method).ok_or_else(unknown)?;
    let mut route = ROUTES.iter().filter(|route| route.method == method);
    let (route, variable) =
        route.find_map(|route| Some((route, route.matches(bare)?))).ok_or_else(unknown)?;
    match route.read {
        Reader::Absent(what) => Err(Fault::new(format_args!(
            "{} {} is not supported: {what} cannot be had in ringfence yet",
            method.name(),
            route.path
        ))),
        Reader::Plain(_) if !body.is_empty() => Err(Fault::new("a GET request has no body; leave it out")),
        Reader::Plain(request) => Ok(request()),
        Reader::Body(_) if body.is_empty() => Err(Fault::new(format_args!(
            "a {} request needs a body of JSON, and this one has none",
            method.name()
        ))),
        Reader::Body(read) => read(variable, body),
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        Fault::new(format_args!("the JSON of the request's body is not what it should be: {error}"))
    })
}

/// What a PUT says is the whole of it.
fn whole_machine_config(body: &[u8]) -> Result<Request, Fault> {
    let config: MachineConfig = json(body)?;
    for (name, missing) in
        [("vcpu_count", config.vcpu_count.is_none()), ("mem_size_mib", config.mem_size_mib.is_none())]
    {
        if missing {
            return Err(Fault::new(format_args!(
                "missing field `{name}`: to change a part, send a PATCH request"
            )));
        }
    }
    Ok(Request::PutMachineConfig(config))
}

fn drive(id: &str, body: &[u8]) -> Result<Request, Fault> {
    let drive: Drive = json(body)?;
    same_id(id, &drive.drive_id)?;
    Ok(Request::PutDrive(drive))
}

fn drive_update(id: &str, body: &[u8]) -> Result<Request, Fault> {
    let update: DriveUpdate = json(body)?;
    same_id(id, &update.drive_id)?;
    Ok(Request::PatchDrive(update))
}

fn network_interface_update(id: &str, body: &[u8]) -> Result<Request, Fault> {
    let update: NetworkInterfaceUpdate = json(body)?;
    same_id(id, &update.iface_id)?;
    Ok(Request::PatchNetworkInterface(update))
}

fn network_interface(id: &str, body: &[u8]) -> Result<Request, Fault> {
    let interface: NetworkInterface = json(body)?;
    same_id(id, &interface.iface_id)?;
    Ok(Request::PutNetworkInterface(interface))
}

/// A resource's name in the path is the one in the body, and is made of letters, digits and underscores.
fn same_id(in_path: &str, in_body: &str) -> Result<(), Fault> {
    if in_path.is_empty() {
        return Err(Fault::new("the ID in the path is empty"));
    }
    if !in_path.chars().all(|character| character.is_alphanumeric() || character == '_') {
        return Err(Fault::new(format_args!(
            "the ID `{in_path}` is not made of letters, digits and underscores alone"
        )));
    }
    if in_path != in_body {
        return Err(Fault::new(format_args!("the ID in the path is {in_path}, and {in_body} in the body")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::{ActionType, VmState};

    fn ask(method: &str, path: &str, body: &str) -> Result<Request, String> {
        let message = Message { method: method.into(), path: path.into(), body: body.into() };
        parse(&message).map_err(|fault| fault.to_string())
    }

    #[test]
    fn requests_are_read_by_method_and_path() {
        assert_eq!(ask("GET", "/", ""), Ok(Request::GetInstance));
        assert_eq!(ask("GET", "/vm/config/", ""), Ok(Request::GetConfiguration));
        let action = Action { action_type: ActionType::InstanceStart };
        assert_eq!(
            ask("PUT", "/actions", r#"{"action_type":"InstanceStart"}"#),
            Ok(Request::PutAction(action))
        );
        let paused = Vm { state: VmState::Paused };
        assert_eq!(ask("PATCH", "/vm", r#"{"state":"Paused"}"#), Ok(Request::PatchVm(paused)));
        let Ok(Request::PutDrive(drive)) =
            ask("PUT", "/drives/a_1", r#"{"drive_id":"a_1","path_on_host":"x","is_root_device":false}"#)
        else {
            panic!("no drive")
        };
        assert_eq!(drive.drive_id, "a_1");
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_reason() {
        for (method, path, body, why) in [
            ("GET", "/nothing", "", "Invalid request method and/or path: GET /nothing."),
            ("DELETE", "/", "", "Invalid request method and/or path: DELETE /."),
            ("GET", "//", "", "Invalid request"),
            ("get", "/", "", "Invalid request"),
            ("GET", "/", "{}", "has no body"),
            ("PUT", "/vm", "{}", "Invalid request"),
            ("PUT", "/actions", "", "needs a body"),
            ("PUT", "/actions", "{", "EOF while parsing"),
            ("PUT", "/actions", r#"{"action_type":"Halt"}"#, "unknown variant `Halt`"),
            ("PUT", "/actions", r#"{"action_type":"InstanceStart","x":1}"#, "unknown field `x`"),
            ("PUT", "/machine-config", r#"{"vcpu_count":1}"#, "missing field `mem_size_mib`"),
            ("PUT", "/machine-config", r#"{"vcpu_count":33,"mem_size_mib":1}"#, "1 to 32 vCPUs here, not 33"),
            ("PATCH", "/machine-config", r#"{"smt":true}"#, "one thread"),
            ("PATCH", "/machine-config", r#"{"track_dirty_pages":true}"#, "no snapshots"),
            (
                "PUT",
                "/drives/",
                r#"{"drive_id":"","path_on_host":"x","is_root_device":false}"#,
                "Invalid request",
            ),
            (
                "PUT",
                "/drives/a",
                r#"{"drive_id":"b","path_on_host":"x","is_root_device":false}"#,
                "b in the body",
            ),
            (
                "PUT",
                "/drives/a-b",
                r#"{"drive_id":"a-b","path_on_host":"x","is_root_device":false}"#,
                "letters",
            ),
            (
                "PUT",
                "/drives/a",
                r#"{"drive_id":"a","path_on_host":"x","is_root_device":false,"io_engine":"Fast"}"#,
                "expected `Sync` or `Async`",
            ),
            (
                "PUT",
                "/balloon",
                r#"{"amount_mib":1,"deflate_on_oom":true,"free_page_hinting":true}"#,
                "free_page_reporting here",
            ),
            ("PUT", "/drives/a/b", "{}", "Invalid request"),
            ("PUT", "/snapshot/create", "{}", "snapshots cannot be had"),
            ("GET", "/mmds", "", "MMDS"),
        ] {
            let error = ask(method, path, body).unwrap_err();
            assert!(error.contains(why), "{method} {path} {body}: {error}");
        }
    }

    #[test]
    fn a_route_stands_in_the_table_once() {
        for (index, route) in ROUTES.iter().enumerate() {
            let same = |other: &Route| (other.method, other.path) == (route.method, route.path);
            assert!(!ROUTES[..index].iter().any(same), "{} {} twice", route.method.name(), route.path);
        }
    }
}
