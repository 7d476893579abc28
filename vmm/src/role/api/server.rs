//! What the events are for: connections, requests on their way to main, answers on their way back.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::RawFd;

use event_manager::{EventOps, Events, MutEventSubscriber};
use rustix::net::SocketFlags;
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec};
use vmm_sys_util::epoll::EventSet;

use super::client::Client;
use crate::api::Response;
use crate::api::http::Limits;
use crate::api::{Request, request};
use crate::confine::Slot;
use crate::observe::Level;
use crate::role::exchange::Exchange;
use crate::role::policies::api::slot;

/// Whose request main has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Nobody,
    /// The client of this connection.
    Client(RawFd),
    /// A client whose connection has gone meanwhile.
    Gone,
}

/// The connections and what they ask.
#[derive(Debug)]
pub(super) struct Server {
    limits: Limits,
    exchange: &'static Exchange,
    clients: BTreeMap<RawFd, Client>,
    /// Requests that wait for the exchange, by their connections.
    waiting: VecDeque<(RawFd, Request)>,
    asking: Asking,
    /// New connections are taken.
    listening: bool,
    bell: Slot,
    main_bell: Slot,
    listener: Slot,
    timer: Slot,
}

impl Server {
    pub(super) fn new(limits: Limits, exchange: &'static Exchange, slot: impl Fn(RawFd) -> Slot) -> Self {
        Self {
            limits,
            exchange,
            clients: BTreeMap::new(),
            waiting: VecDeque::new(),
            asking: Asking::Nobody,
            listening: false,
            bell: slot(slot::BELL),
            main_bell: slot(slot::MAIN_BELL),
            listener: slot(slot::LISTENER),
            timer: slot(slot::TIMER),
        }
    }

    /// Takes one connection. Where there are as many as there may be, the one that has been idle longest makes room.
    fn accept(&mut self, ops: &mut EventOps) {
        let most = slot::CONNECTIONS.count();
        if self.clients.len() >= most && !self.make_room(ops) {
            let _ = ops.remove(Events::empty(&self.listener));
            self.listening = false;
            return;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // An error is the client's, which has gone, or none: then the next event comes.
        let Ok(socket) = rustix::net::accept_with(self.listener, flags) else { return };
        let client = Client::new(socket, self.limits);
        let number = client.number();
        // The lowest free number is one of the slots: there are fewer connections than these.
        debug_assert!(slot::CONNECTIONS.contains(&number));
        if ops.add(Events::new_raw(number, client.heard)).is_err() {
            return;
        }
        if self.clients.is_empty() {
            self.run_timer(1);
        }
        self.clients.insert(number, client);
    }

    fn make_room(&mut self, ops: &mut EventOps) -> bool {
        let idle = self.clients.iter().filter_map(|(&number, client)| Some((client.idle()?, number)));
        let Some((_, number)) = idle.max() else { return false };
        self.close(number, ops);
        true
    }

    fn close(&mut self, number: RawFd, ops: &mut EventOps) {
        let Some(client) = self.clients.remove(&number) else { return };
        let _ = ops.remove(Events::empty_raw(number));
        self.waiting.retain(|&(asker, _)| asker != number);
        if self.asking == Asking::Client(number) {
            self.asking = Asking::Gone;
        }
        drop(client);
        if self.clients.is_empty() {
            self.run_timer(0);
        }
        self.listen(ops);
    }

    fn listen(&mut self, ops: &mut EventOps) {
        if !self.listening {
            // It takes a socket; anything else is a defect and must not go by in silence.
            ops.add(Events::new(&self.listener, EventSet::IN)).expect("epoll takes the listener");
            self.listening = true;
        }
    }

    /// Every so many seconds; 0 stops it.
    fn run_timer(&self, seconds: i64) {
        let every = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: every, it_value: every };
        // Its errors would be a bad descriptor or time, which these are not.
        let _ = rustix::time::timerfd_settime(self.timer, TimerfdTimerFlags::empty(), &setting);
    }

    /// Brings a connection as far as it goes: reads its next request, writes what is to go out, listens for what is next.
    fn go_on(&mut self, number: RawFd, ops: &mut EventOps) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        loop {
            client.write();
            // An answer that the client does not take keeps its next request waiting.
            if !client.connection.unsent().is_empty() || client.is_over() {
                break;
            }
            let Some(message) = client.next_message() else {
                client.write();
                break;
            };
            let outcome = request::parse(&message);
            self.exchange.note(Level::Info, message.described());
            match outcome {
                Ok(request) => self.waiting.push_back((number, request)),
                Err(fault) => {
                    let response = Response::from(fault);
                    self.exchange.note_refused(&response);
                    client.connection.answer(&response);
                    self.main_bell.ring();
                }
            }
        }
        if client.is_over() {
            self.close(number, ops);
            return;
        }
        let wanted = client.wanted();
        if wanted != client.heard && ops.modify(Events::new_raw(number, wanted)).is_ok() {
            client.heard = wanted;
        }
    }

    /// Hands the next request to main, if it has none.
    fn ask(&mut self) {
        if self.asking == Asking::Nobody
            && let Some((number, request)) = self.waiting.pop_front()
        {
            self.exchange.ask(request);
            self.asking = Asking::Client(number);
            self.main_bell.ring();
        }
    }

    fn answered(&mut self, ops: &mut EventOps) {
        let Some(response) = self.exchange.answered() else { return };
        if let Asking::Client(number) = std::mem::replace(&mut self.asking, Asking::Nobody) {
            if let Some(client) = self.clients.get_mut(&number) {
                client.connection.answer(&response);
            }
            self.go_on(number, ops);
        }
    }

    fn tick(&mut self, ops: &mut EventOps) {
        self.clients.values_mut().for_each(Client::tick);
        let numbers: Vec<RawFd> = self.clients.keys().copied().collect();
        for number in numbers {
            self.go_on(number, ops);
        }
    }
}

impl MutEventSubscriber for Server {
    fn init(&mut self, ops: &mut EventOps) {
        for heard in [self.bell, self.timer] {
            // A new epoll descriptor takes these; anything else is a defect and must not go by in silence.
            ops.add(Events::new(&heard, EventSet::IN)).expect("epoll takes the bell and the timer");
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        match events.fd() {
            slot::LISTENER => self.accept(ops),
            slot::BELL => {
                self.bell.hear();
                self.answered(ops);
                // The first ring says that the socket listens; before, epoll would have said again and again that it
                // does not.
                self.listen(ops);
            }
            slot::TIMER => {
                self.timer.hear();
                self.tick(ops);
            }
            number => {
                if let Some(client) = self.clients.get_mut(&number) {
                    client.event(events.event_set());
                }
                self.go_on(number, ops);
            }
        }
        self.ask();
    }
}
