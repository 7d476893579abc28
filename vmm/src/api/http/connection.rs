//! One connection: what has come in and is not a whole request yet, and what is to go out. One request at a time; what a
//! client sends ahead waits for the answer before it.

use super::head::{self, Head};
use super::{HEAD_BYTES, Limits};
use crate::api::response::cut;
use crate::api::response::{Response, Status};

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// As it was sent.
    pub method: String,
    /// The target, as it was sent.
    pub path: String,
    /// All of the body.
    pub body: Vec<u8>,
}

impl Message {
    /// A line of the log about it, in the words that Firecracker's log has.
    pub fn described(&self) -> String {
        let method = match self.method.as_str() {
            "GET" => "Get",
            "PUT" => "Put",
            "PATCH" => "Patch",
            other => cut(other),
        };
        let request = format!("The API server received a {method} request on \"{}\"", cut(&self.path));
        if self.body.is_empty() {
            return format!("{request}.");
        }
        let body = String::from_utf8_lossy(&self.body);
        format!("{request} with body \"{}\".", cut(&body))
    }
}

/// Where in a request the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In the head. Its end was looked for before `scanned`, in vain.
    Head { scanned: usize },
    /// In the body; the head is taken out of what came in.
    Body(Head),
    /// The request is with whoever answers it.
    Asked { keep_alive: bool },
    /// Nothing more is read.
    Closing,
}

/// A connection without its socket.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    place: Place,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    /// The client sends no more.
    ended: bool,
}

impl Connection {
    /// A connection on which nothing was said.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            place: Place::Head { scanned: 0 },
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            ended: false,
        }
    }

    /// Takes bytes that came in; to be called only while [`Connection::wants_input`].
    pub fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The client sends no more. What it has sent whole is still answered; to be followed by [`Connection::next_message`].
    pub fn ended(&mut self) {
        self.ended = true;
    }

    /// The next whole request, if there is one and none is with whoever answers. What cannot be a request is answered here.
    pub fn next_message(&mut self) -> Option<Message> {
        let message = self.take();
        if message.is_none() && self.ended && !self.is_asked() {
            self.place = Place::Closing;
        }
        message
    }

    fn take(&mut self) -> Option<Message> {
        if let Place::Head { scanned } = self.place {
            self.read_head(scanned);
        }
        let Place::Body(head) = &self.place else { return None };
        if self.input.len() < head.body {
            return None;
        }
        let Place::Body(head) = std::mem::replace(&mut self.place, Place::Closing) else { return None };
        self.place = Place::Asked { keep_alive: head.keep_alive };
        let rest = self.input.split_off(head.body);
        let body = std::mem::replace(&mut self.input, rest);
        Some(Message { method: head.method, path: head.path, body })
    }

    fn read_head(&mut self, scanned: usize) {
        // Empty lines before a request are let pass: RFC 9112 section 2.2.
        let blank = self.input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.input.drain(..blank);
        let Some(end) = head::end(&self.input, scanned.saturating_sub(blank)) else {
            if self.input.len() >= HEAD_BYTES {
                self.refuse_head_size();
            } else {
                // Line ends at the very end may be half of an empty line, and are looked at again.
                let text = self.input.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
                self.place = Place::Head { scanned: text.unwrap_or_default() };
            }
            return;
        };
        if end > HEAD_BYTES {
            self.refuse_head_size();
            return;
        }
        match Head::parse(&self.input[..end]) {
            Ok(head) if head.body > self.limits.body => {
                let (size, limit) = (head.body, self.limits.body);
                let why = format!("the body has {size} bytes, and a request takes {limit} at most");
                self.refuse(&Response::refusal(Status::PayloadTooLarge, &why));
            }
            Ok(head) => {
                self.input.drain(..end);
                if head.expects_continue && self.input.len() < head.body {
                    self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                self.place = Place::Body(head);
            }
            Err(response) => self.refuse(&response),
        }
    }

    fn refuse_head_size(&mut self) {
        let why = format!("the head of a request has at most {HEAD_BYTES} bytes");
        self.refuse(&Response::refusal(Status::HeaderTooLarge, &why));
    }

    /// Answers what is no request, after which nothing on the connection can be understood.
    fn refuse(&mut self, response: &Response) {
        self.place = Place::Closing;
        self.input = Vec::new();
        self.write(response, false);
    }

    /// The time for a request, or for taking an answer, is up.
    pub fn time_is_up(&mut self) {
        self.output = Vec::new();
        self.sent = 0;
        self.refuse(&Response::refusal(Status::BadRequest, "the request took too long to arrive"));
    }

    /// Answers the request that [`Connection::next_message`] gave.
    pub fn answer(&mut self, response: &Response) {
        let Place::Asked { keep_alive } = self.place else { return };
        let keep_alive = keep_alive && !(self.ended && self.input.is_empty());
        self.place = if keep_alive { Place::Head { scanned: 0 } } else { Place::Closing };
        self.write(response, keep_alive);
    }

    fn write(&mut self, response: &Response, keep_alive: bool) {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let Response { status, body } = response;
        let head =
            format!("HTTP/1.1 {}\r\nServer: Firecracker API\r\nConnection: {connection}\r\n", status.line());
        self.output.extend_from_slice(head.as_bytes());
        if *status != Status::NoContent {
            let length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            self.output.extend_from_slice(length.as_bytes());
        }
        self.output.extend_from_slice(b"\r\n");
        self.output.extend_from_slice(body.as_bytes());
    }

    /// What is to go out.
    pub fn unsent(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// So many bytes of it went out.
    pub fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.output.len() {
            self.output = Vec::new();
            self.sent = 0;
        }
    }

    /// Whether more should be read: while a request is answered, or an answer is not taken, a client has to wait.
    pub fn wants_input(&self) -> bool {
        !self.ended && self.output.is_empty() && matches!(self.place, Place::Head { .. } | Place::Body(_))
    }

    /// Whether a request has begun and is not whole, or an answer is not taken: there is a limit of time for both.
    pub fn is_under_way(&self) -> bool {
        !self.output.is_empty() || !self.input.is_empty() || matches!(self.place, Place::Body(_))
    }

    /// Whether a request is with whoever answers.
    pub fn is_asked(&self) -> bool {
        matches!(self.place, Place::Asked { .. })
    }

    /// Whether it may be closed: nothing will come, and all has gone out.
    pub fn is_over(&self) -> bool {
        self.place == Place::Closing && self.output.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PUT: &str = "PUT /boot-source HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";

    fn text(connection: &mut Connection) -> String {
        let text = String::from_utf8(connection.unsent().to_vec()).unwrap();
        connection.sent(text.len());
        text
    }

    fn put() -> Message {
        Message { method: "PUT".into(), path: "/boot-source".into(), body: b"body".to_vec() }
    }

    #[test]
    fn requests_sent_ahead_are_answered_one_after_the_other() {
        let mut connection = Connection::new(Limits::default());
        connection.received(format!("{PUT}\r\n{PUT}GET").as_bytes());
        for _ in 0..2 {
            assert_eq!(connection.next_message(), Some(put()));
            assert!(connection.is_asked() && !connection.wants_input());
            assert_eq!(connection.next_message(), None);
            connection.answer(&Response::DONE);
            let head = "HTTP/1.1 204 No Content\r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";
            assert_eq!(text(&mut connection), head);
        }
        assert_eq!(connection.next_message(), None);
        assert!(connection.wants_input() && connection.is_under_way() && !connection.is_over());
    }

    #[test]
    fn a_client_that_waits_for_a_word_gets_it() {
        let mut connection = Connection::new(Limits::default());
        let (head, body) = PUT.split_at(PUT.len() - 4);
        connection.received(head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n").as_bytes());
        assert_eq!(connection.next_message(), None);
        assert_eq!(text(&mut connection), "HTTP/1.1 100 Continue\r\n\r\n");
        connection.received(body.as_bytes());
        assert_eq!(connection.next_message(), Some(put()));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_read() {
        for (request, status) in [
            (PUT.replace(": 4", ": 51201"), "413"),
            (PUT.replace(": 4", ": 99999999999999999999"), "413"),
            (format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES)), "431"),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65)), "431"),
            ("\u{1}\r\n\r\n".into(), "400"),
        ] {
            let mut connection = Connection::new(Limits::default());
            connection.received(request.as_bytes());
            assert_eq!(connection.next_message(), None);
            let answer = text(&mut connection);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            assert!(answer.contains("Connection: close") && answer.contains("fault_message"), "{answer}");
            assert!(connection.is_over());
        }
    }

    #[test]
    fn a_client_that_has_ended_gets_its_answer_and_no_more() {
        let mut connection = Connection::new(Limits::default());
        connection.received(PUT.as_bytes());
        assert_eq!(connection.next_message(), Some(put()));
        connection.ended();
        assert!(!connection.is_over());
        connection.answer(&Response::DONE);
        assert!(text(&mut connection).contains("Connection: close"));
        assert!(connection.is_over());
    }

    #[test]
    fn a_request_that_arrives_in_single_bytes_is_taken() {
        let mut connection = Connection::new(Limits::default());
        for byte in PUT.as_bytes() {
            assert_eq!(connection.next_message(), None);
            connection.received(&[*byte]);
        }
        assert_eq!(connection.next_message(), Some(put()));
    }

    proptest! {
        #[test]
        fn however_requests_are_cut_they_come_out_whole(cuts in prop::collection::vec(1_usize..40, 1..40), count in 1_usize..5) {
            let all = PUT.repeat(count);
            let mut connection = Connection::new(Limits::default());
            let mut seen = 0;
            let mut rest = all.as_bytes();
            for cut in cuts.into_iter().chain([all.len()]) {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                connection.received(piece);
                rest = behind;
                while let Some(message) = connection.next_message() {
                    prop_assert_eq!(message, put());
                    seen += 1;
                    connection.answer(&Response::DONE);
                }
            }
            prop_assert_eq!(seen, count);
        }

        #[test]
        fn whatever_comes_in_is_a_request_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut connection = Connection::new(Limits::default());
            connection.received(&bytes);
            while connection.next_message().is_some() {
                connection.answer(&Response::DONE);
            }
            prop_assert!(connection.wants_input() || connection.unsent().starts_with(b"HTTP/1.1 "));
        }
    }
}
