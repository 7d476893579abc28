//! Where requests of the API's thread meet main: one request at a time lies here, then its answer.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::{Request, Response};

/// The place of one request. Lives as long as the process.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Held by api or main for as long as it takes to move a value in or out.
    place: Mutex<Place>,
}

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
