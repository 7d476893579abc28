//! What clients send to the API: the same answers however it is cut into pieces, and never more kept than the limits say.

use ringfence::api::http::{Connection, HEAD_BYTES, Limits, Message};
use ringfence::api::{Machine, Response, request};
use serde_json::Value;

use super::input::Input;
use super::routes;

/// Bytes of a body at most, here: small, so that inputs reach it.
const BODY: usize = 512;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    messages: Vec<Message>,
    output: Vec<u8>,
    over: bool,
}

/// A connection to a machine of its own, which gets `bytes` in pieces of these lengths, over and over.
fn converse(bytes: &[u8], pieces: &[usize]) -> Outcome {
    let mut connection = Connection::new(Limits { body: BODY });
    let mut machine = Machine::new("fuzzed".into());
    let (mut messages, mut output) = (Vec::new(), Vec::new());
    let (mut rest, mut lengths) = (bytes, pieces.iter().copied().cycle());
    // Bytes of what is no whole request yet.
    let mut kept = 0;
    let mut ended = false;
    for round in 0.. {
        assert!(round <= output.len() + 4 * bytes.len() + 16, "the connection goes on for ever");
        if let Some(message) = connection.next_message() {
            assert!(message.body.len() <= BODY && message.path.len() <= HEAD_BYTES);
            assert!(connection.is_asked() && !connection.wants_input());
            connection.answer(&routes::answer(&mut machine, request::parse(&message)));
            messages.push(message);
            kept = 0;
            continue;
        }
        let unsent = connection.unsent().to_vec();
        // A client that takes an answer slowly.
        let taken = unsent.len().min(lengths.next().unwrap_or(usize::MAX).max(1));
        if taken > 0 {
            assert!(!connection.wants_input(), "a client takes its answers first");
            output.extend(&unsent[..taken]);
            connection.sent(taken);
            continue;
        }
        if connection.is_over() {
            break;
        }
        assert!(connection.wants_input() || ended, "it waits for something");
        if ended {
            break;
        }
        if rest.is_empty() {
            connection.ended();
            ended = true;
            continue;
        }
        let (piece, after) = rest.split_at(lengths.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
        rest = after;
        assert!(kept <= HEAD_BYTES + BODY, "{kept} bytes are kept of a request");
        connection.received(piece);
        kept = if connection.is_under_way() { kept + piece.len() } else { 0 };
    }
    Outcome { messages, output: without_continue(&output), over: connection.is_over() }
}

/// Whether a client is told to go on depends on whether it has waited.
fn without_continue(output: &[u8]) -> Vec<u8> {
    let mut rest = output;
    let mut kept = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(CONTINUE) {
            rest = after;
        } else {
            kept.push(*first);
            rest = after;
        }
    }
    kept
}

/// Each answer has a status, its length, and JSON or nothing.
fn answers(output: &[u8]) -> Vec<Response> {
    let mut rest = output;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a head has an end") + 4;
        let (head, after) = rest.split_at(end);
        let head = std::str::from_utf8(head).expect("a head is text");
        let status =
            head.strip_prefix("HTTP/1.1 ").expect("a status").split("\r\n").next().unwrap_or_default();
        let status =
            routes::STATUSES.into_iter().find(|known| known.line() == status).expect("one that is known");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().expect("a number"));
        let (body, after) = after.split_at(length);
        let body = String::from_utf8(body.to_vec()).expect("a body is text");
        if !body.is_empty() {
            let _: Value = serde_json::from_str(&body).expect("a body is JSON");
        }
        all.push(Response { status, body });
        rest = after;
    }
    all
}

/// What clients send: after a choice, either bytes to a connection, or a body to a route.
pub fn http(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    if input.byte() % 2 == 1 {
        return routes::route(&mut input);
    }
    let pieces = [
        1 + usize::from(input.byte() % 64),
        1 + usize::from(input.byte()),
        1 + usize::from(input.byte() % 8),
    ];
    let bytes = input.rest();
    let whole = converse(bytes, &[usize::MAX]);
    assert_eq!(converse(bytes, &pieces), whole, "in pieces of {pieces:?}");
    assert_eq!(converse(bytes, &[1]), whole, "byte by byte");
    assert!(answers(&whole.output).len() >= whole.messages.len(), "each request has an answer");
    !whole.messages.is_empty()
}
