//! The API as main serves it: requests come by the exchange, and their answers go back by it.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Instant;

use super::monitor::Monitor;
use super::observer::Observer;
use crate::api::machine::Order;
use crate::api::model::{BalloonStatistics, BootSource, Configuration};
use crate::api::{Fault, Machine, Response, State};
use crate::devices::virtio::balloon::{self, Handle, PAGES_OF_MIB};
use crate::machine::image::Source;
use crate::observe::Level;
use crate::role::devices::{Disk, DiskConfig, Interface, NetConfig, VsockConfig};
use crate::role::exchange::{Exchange, Notes};
use crate::role::policies::main_api::slot;
use crate::role::terminal;

/// The API's machine, and where its requests come from.
#[derive(Debug)]
pub struct Service {
    exchange: &'static Exchange,
    pub(super) machine: Machine,
    /// The request to start waits for its answer.
    starting: bool,
}

impl Service {
    /// Serves requests about `machine`.
    pub fn new(exchange: &'static Exchange, machine: Machine) -> Self {
        Self { exchange, machine, starting: false }
    }

    /// Where the requests come from.
    pub fn exchange(&self) -> &'static Exchange {
        self.exchange
    }

    /// Before the start: takes a request, if there is one, and does it. Starting the machine is left to the caller, who
    /// answers by [`Service::refuse_start`] if that fails; `true`: api is to be rung.
    pub fn serve_unstarted(&mut self, observer: &mut Observer) -> Served {
        let request = self.exchange.take();
        self.log_notes(observer);
        let Some(request) = request else { return Served::Nothing };
        let name = request.name();
        let response = match self.machine.take(request) {
            Ok(Order::Start(configuration)) => {
                self.starting = true;
                return Served::Start(configuration);
            }
            Ok(order) => Response::from(self.configure(order, observer)),
            Err(fault) => fault.into(),
        };
        observer.count_request(name, response.is_refusal());
        self.answer(response, observer);
        Served::Answered
    }

    /// Logs what the api thread has left about requests.
    fn log_notes(&self, observer: &mut Observer) {
        let Notes { lines, lost, refused } = self.exchange.take_notes();
        for (level, line) in lines {
            observer.log_about("rf-api", level, format_args!("{line}"));
        }
        if lost > 0 {
            observer.log_about("rf-api", Level::Warn, format_args!("{lost} lines were lost here"));
        }
        observer.count_refused(refused);
    }

    fn answer(&self, response: Response, observer: &mut Observer) {
        let level = if response.is_refusal() { Level::Error } else { Level::Info };
        observer.log_about("rf-api", level, format_args!("{}", response.described()));
        self.exchange.answer(response);
    }

    /// What can be opened is configured: whoever asked hears at once of what cannot.
    fn configure(&mut self, order: Order, observer: &mut Observer) -> Result<Response, Fault> {
        match order {
            Order::Answer(response) => return Ok(response),
            Order::Boot(source) => {
                try_boot_source(&source)?;
                self.machine.set_boot_source(source);
            }
            Order::Drive(drive) => {
                Disk::open(&DiskConfig::from(drive.clone())).map_err(Fault::new)?;
                self.machine.set_drive(drive);
            }
            Order::Interface(interface) => {
                Interface::open_all(&[NetConfig::from(interface.clone())]).map_err(Fault::new)?;
                self.machine.set_interface(interface);
            }
            Order::Vsock(vsock) => {
                VsockConfig::from(vsock.clone()).check().map_err(Fault::new)?;
                self.machine.set_vsock(vsock);
            }
            Order::Log(logger) => observer.set_logger(logger).map_err(Fault::new)?,
            Order::Serial(serial) => {
                terminal::send_output_to(&serial.serial_out_path).map_err(Fault::new)?;
            }
            Order::Metrics(metrics) => observer.set_metrics(&metrics.metrics_path).map_err(Fault::new)?,
            Order::Start(_)
            | Order::FlushMetrics
            | Order::ChangeDrive(_)
            | Order::ChangeInterface(_)
            | Order::CtrlAltDel
            | Order::Inflate(_)
            | Order::BalloonStatistics
            | Order::BalloonInterval(_)
            | Order::Pause
            | Order::Resume => {
                return Err(Fault::new("the machine is not started"));
            }
        }
        Ok(Response::DONE)
    }

    /// The start has failed, and nothing of it is left.
    pub fn refuse_start(&mut self, why: impl std::fmt::Display, observer: &mut Observer) {
        self.starting = false;
        observer.count_request(START, true);
        self.answer(Fault::new(why).into(), observer);
    }

    /// The machine runs: from the beginning, or by a request that is answered now; true: api is to be rung.
    fn started(&mut self, observer: &mut Observer) -> bool {
        self.machine.set_state(State::Running);
        let starting = std::mem::take(&mut self.starting);
        if starting {
            observer.count_request(START, false);
            self.answer(Response::DONE, observer);
        }
        starting
    }
}

/// As [`Request::name`] has it for the action that starts the machine.
const START: (&str, &str) = ("PUT", "actions");

/// What became of a request before the start.
#[derive(Debug)]
pub enum Served {
    /// There was none.
    Nothing,
    /// Its answer is there, and api is to be rung.
    Answered,
    /// The machine is to start with this configuration.
    Start(Box<Configuration>),
}

/// What metrics call the time that it takes, where they have it.
fn latency_of(order: &Order) -> Option<&'static str> {
    match order {
        Order::Pause => Some("pause_vm"),
        Order::Resume => Some("resume_vm"),
        _ => None,
    }
}

fn try_boot_source(source: &BootSource) -> Result<(), Fault> {
    let open = |what, path: &Path| Source::open(what, path).map(drop).map_err(Fault::new);
    open("kernel", &source.kernel_image_path)?;
    source.initrd_path.as_deref().map_or(Ok(()), |path| open("initrd", path))
}

impl Monitor {
    /// Tells whoever asked for the start that it was one.
    pub(super) fn answer_start(&mut self) {
        let observer = &mut self.observer;
        if self.service.as_mut().is_some_and(|service| service.started(observer)) {
            self.ring_api();
        }
    }

    /// Takes a request, if there is one, does it and answers it.
    pub(super) fn serve(&mut self) {
        let Some(service) = &mut self.service else { return };
        let request = service.exchange.take();
        service.log_notes(&mut self.observer);
        let Some(request) = request else { return };
        let name = request.name();
        self.conclude_late();
        let Some(service) = &mut self.service else { return };
        let order = service.machine.take(request);
        let begun = Instant::now();
        let latency = order.as_ref().ok().and_then(latency_of);
        let response = Response::from(order.and_then(|order| self.carry_out(order)));
        if let Some(name) = latency {
            self.observer.took(name, begun.elapsed());
        }
        self.observer.count_request(name, response.is_refusal());
        if let Some(service) = &self.service {
            service.answer(response, &mut self.observer);
            self.ring_api();
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<Response, Fault> {
        let state = match order {
            Order::Answer(response) => return Ok(response),
            Order::Pause => {
                self.pause()?;
                State::Paused
            }
            Order::CtrlAltDel => {
                self.press_ctrl_alt_del()?;
                return Ok(Response::DONE);
            }
            Order::FlushMetrics => return self.flush_metrics(),
            Order::ChangeDrive(change) => return self.change_drive(change),
            Order::ChangeInterface(change) => return self.change_interface(change),
            Order::BalloonStatistics => {
                return Ok(Response::json(&BalloonStatistics::from(&self.balloon()?)));
            }
            Order::Inflate(mib) => {
                balloon::set_target(self.balloon()?.configuration, mib.saturating_mul(PAGES_OF_MIB));
                return Ok(self.tell_io());
            }
            Order::BalloonInterval(seconds) => {
                self.balloon()?.statistics.set_interval(seconds.into());
                return Ok(self.tell_io());
            }
            Order::Resume => {
                self.resume();
                State::Running
            }
            // `Machine::take` lets none of these through after the start.
            Order::Boot(_)
            | Order::Drive(_)
            | Order::Interface(_)
            | Order::Vsock(_)
            | Order::Log(_)
            | Order::Metrics(_)
            | Order::Serial(_)
            | Order::Start(_) => {
                return Err(Fault::new("the machine is started already"));
            }
        };
        if let Some(service) = &mut self.service {
            service.machine.set_state(state);
        }
        Ok(Response::DONE)
    }

    /// Writes the metrics now.
    fn flush_metrics(&mut self) -> Result<Response, Fault> {
        if !self.observer.has_metrics() {
            return Err(Fault::new("there are no metrics: PUT /metrics names their file before the start"));
        }
        if self.flush() {
            return Ok(Response::DONE);
        }
        Err(Fault::new(
            "the file of the metrics takes nothing: is the disk full, or does nobody read the pipe?",
        ))
    }

    /// io raises the keyboard's interrupt.
    fn press_ctrl_alt_del(&self) -> Result<(), Fault> {
        if !self.shared.ports.keyboard().press_ctrl_alt_del() {
            return Err(Fault::new(
                "the guest does not listen to a keyboard: load a driver in the guest, and give it a keyboard by \
                 --keyboard where `ringfence run` started it",
            ));
        }
        self.tell_io();
        Ok(())
    }

    fn balloon(&self) -> Result<Handle, Fault> {
        self.shared.balloon.ok_or_else(|| Fault::new("the machine has no balloon"))
    }

    /// io looks at its devices.
    fn tell_io(&self) -> Response {
        self.fenced.slot(slot::IO_BELL).ring();
        Response::DONE
    }

    fn ring_api(&self) {
        self.fenced.slot(slot::API_BELL).ring();
    }
}
