//! Bodies of JSON to every route of the API, in every state of a machine.

use ringfence::api::http::Message;
use ringfence::api::machine::Order;
use ringfence::api::model::Configuration;
use ringfence::api::request::{self, ROUTES};
use ringfence::api::response::{Fault, Status};
use ringfence::api::{Machine, Request, Response, State};

use super::input::Input;

/// All statuses that there are.
pub(crate) const STATUSES: [Status; 5] =
    [Status::Ok, Status::NoContent, Status::BadRequest, Status::PayloadTooLarge, Status::HeaderTooLarge];

/// What whoever has the machine answers, on a host where everything can be opened.
pub(crate) fn answer(machine: &mut Machine, request: Result<Request, Fault>) -> Response {
    let order = match request.and_then(|request| machine.take(request)) {
        Ok(order) => order,
        Err(fault) => return fault.into(),
    };
    match order {
        Order::Answer(response) => return response,
        Order::Boot(source) => machine.set_boot_source(source),
        Order::Drive(drive) => machine.set_drive(drive),
        Order::Interface(interface) => machine.set_interface(interface),
        Order::Vsock(vsock) => machine.set_vsock(vsock),
        Order::Start(_) | Order::Resume => machine.set_state(State::Running),
        Order::Pause => machine.set_state(State::Paused),
        _ => {}
    }
    Response::DONE
}

fn ask(machine: &mut Machine, method: &str, path: String, body: &[u8]) -> Response {
    let message = Message { method: method.to_owned(), path, body: body.to_vec() };
    answer(machine, request::parse(&message))
}

/// A few requests, each a route, a name and a body up to a zero byte. True if one was carried out that says something.
pub(crate) fn route(input: &mut Input<'_>) -> bool {
    let mut machine = Machine::new("fuzzed".into());
    let mut carried_out = false;
    for _ in 0..20 {
        if input.is_over() {
            break;
        }
        let route = &ROUTES[usize::from(input.byte()) % ROUTES.len()];
        let name = input.of(&["a", "b_1", "", "ä", "a/b", "{}"]);
        let path = match route.path.split_once('{') {
            Some((before, _)) => format!("{before}{name}"),
            None => route.path.to_owned(),
        };
        let count = usize::from(input.byte()) * 2;
        let response = ask(&mut machine, route.method.name(), path, input.bytes(count));
        assert_eq!(response.status == Status::NoContent, response.body.is_empty(), "{response:?}");
        assert!(route.is_there() || response.status == Status::BadRequest, "{response:?}");
        carried_out |= response.status == Status::NoContent;
        assert_answers_hold(&mut machine);
    }
    carried_out
}

/// What a machine says of itself is a configuration from which the same machine comes.
fn assert_answers_hold(machine: &mut Machine) {
    let response = ask(machine, "GET", "/vm/config".into(), b"");
    assert_eq!(response.status, Status::Ok, "{response:?}");
    let Ok(configuration) = serde_json::from_str::<Configuration>(&response.body) else {
        assert!(response.body.contains(r#""boot-source":null"#), "no configuration: {}", response.body);
        return;
    };
    let mut again = Machine::configured(machine.id().to_owned(), configuration);
    assert_eq!(ask(&mut again, "GET", "/vm/config".into(), b""), response);
}
