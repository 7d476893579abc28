//! Where requests of the API's thread meet main: one request at a time lies here, then its answer.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::{Request, Response};
use crate::observe::Level;

/// The place of one request. Lives as long as the process.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Held by api or main for as long as it takes to move a value in or out.
    place: Mutex<Place>,
    /// What is to be logged of requests, and how many were refused for their form.
    notes: Mutex<Notes>,
}

/// What main has not logged yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Lines, the first [`MOST_NOTES`].
    pub lines: Vec<(Level, String)>,
    /// Lines beyond these.
    pub lost: u64,
    /// Requests that were refused for their form.
    pub refused: u64,
}

/// Lines that wait for main at most.
pub const MOST_NOTES: usize = 64;

#[derive(Debug, Default)]
enum Place {
    #[default]
    Empty,
    Asked(Request),
    Taken,
    Answered(Response),
}

impl Exchange {
    /// An empty one.
    pub fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// api: something to be logged. Main finds it when it is rung.
    pub fn note(&self, level: Level, line: String) {
        let mut notes = self.notes();
        if notes.lines.len() < MOST_NOTES {
            notes.lines.push((level, line));
        } else {
            notes.lost += 1;
        }
    }

    /// api: a request was refused for its form, with this answer.
    pub fn note_refused(&self, answer: &Response) {
        self.notes().refused += 1;
        self.note(Level::Error, answer.described());
    }

    /// main: takes what is to be logged.
    pub fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    /// api: whether a request may be put here.
    pub fn is_free(&self) -> bool {
        matches!(*self.place(), Place::Empty)
    }

    /// api: puts a request here, where there is none. Main is to be rung.
    pub fn ask(&self, request: Request) {
        *self.place() = Place::Asked(request);
    }

    /// api: takes the answer, if it is there.
    pub fn answered(&self) -> Option<Response> {
        let mut place = self.place();
        match std::mem::take(&mut *place) {
            Place::Answered(response) => Some(response),
            other => {
                *place = other;
                None
            }
        }
    }

    /// main: takes the request, if there is one.
    pub fn take(&self) -> Option<Request> {
        let mut place = self.place();
        match std::mem::replace(&mut *place, Place::Taken) {
            Place::Asked(request) => Some(request),
            other => {
                *place = other;
                None
            }
        }
    }

    /// main: answers the request that it took. api is to be rung.
    pub fn answer(&self, response: Response) {
        *self.place() = Place::Answered(response);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Fault;

    #[test]
    fn notes_are_taken_once_and_no_more_than_there_is_room_for() {
        let exchange = Exchange::default();
        for number in 0..70 {
            exchange.note(Level::Info, number.to_string());
        }
        exchange.note_refused(&Fault::new("no").into());
        let notes = exchange.take_notes();
        assert_eq!((notes.lines.len(), notes.lost, notes.refused), (64, 7, 1));
        assert_eq!(exchange.take_notes(), Notes::default());
    }

    #[test]
    fn a_request_is_taken_once_and_its_answer_too() {
        let exchange = Exchange::default();
        assert!(exchange.is_free() && exchange.take().is_none());
        exchange.ask(Request::GetVersion);
        assert!(!exchange.is_free() && exchange.answered().is_none());
        assert_eq!(exchange.take(), Some(Request::GetVersion));
        assert!(exchange.take().is_none() && !exchange.is_free());
        exchange.answer(Response::DONE);
        assert!(exchange.take().is_none());
        assert_eq!(exchange.answered(), Some(Response::DONE));
        assert!(exchange.is_free() && exchange.answered().is_none());
    }
}
