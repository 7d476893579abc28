//! Answers: a status, and a body of JSON where there is something to say.

use serde::Serialize;
use serde_json::json;

/// The statuses that Firecracker's API has, and that of a head too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With a body.
    Ok,
    /// Done, and nothing to say.
    NoContent,
    /// Refused; the body says why.
    BadRequest,
    /// The body is larger than it may be.
    PayloadTooLarge,
    /// The head is larger than it may be.
    HeaderTooLarge,
}

impl Status {
    /// Code and phrase, RFC 9110 section 15 and RFC 6585 section 5.
    pub fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::NoContent => "204 No Content",
            Self::BadRequest => "400 Bad Request",
            Self::PayloadTooLarge => "413 Content Too Large",
            Self::HeaderTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// What became of the request.
    pub status: Status,
    /// JSON; empty where there is nothing to say.
    pub body: String,
}

impl Response {
    /// Done, and nothing to say.
    pub const DONE: Self = Self { status: Status::NoContent, body: String::new() };

    /// What was asked for.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(body) => Self { status: Status::Ok, body },
            // A path that is no text has no form in JSON.
            Err(error) => Fault::new(format_args!("the answer has no form in JSON: {error}")).into(),
        }
    }

    /// Whether it says that something was not done.
    pub fn is_refusal(&self) -> bool {
        !matches!(self.status, Status::Ok | Status::NoContent)
    }

    /// A line of the log about it, in the words that Firecracker's log has.
    pub fn described(&self) -> String {
        match self.status {
            Status::Ok | Status::NoContent => {
                format!("The request was executed successfully. Status code: {}.", self.status.line())
            }
            _ => format!("Received Error. Status code: {}. Message: {}", self.status.line(), cut(&self.body)),
        }
    }

    /// A refusal in Firecracker's form.
    pub fn refusal(status: Status, why: &str) -> Self {
        Self { status, body: json!({ "fault_message": why }).to_string() }
    }
}

/// Of a text that a client has sent, as much as a line of the log holds of it.
pub(crate) fn cut(text: &str) -> &str {
    const MOST_BYTES: usize = 512;
    let end = (0..=text.len().min(MOST_BYTES)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Why a request is refused: the text of `fault_message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// In words: what was asked, why it is refused, what to do.
    pub fn new(words: impl std::fmt::Display) -> Self {
        Self(words.to_string())
    }
}

impl From<Fault> for Response {
    fn from(fault: Fault) -> Self {
        Self::refusal(Status::BadRequest, &fault.0)
    }
}

impl From<Result<Self, Fault>> for Response {
    fn from(result: Result<Self, Fault>) -> Self {
        result.unwrap_or_else(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_as_firecracker_does() {
        let response = Response::from(Fault::new("no \"kernel\""));
        assert_eq!(response.status, Status::BadRequest);
        assert_eq!(response.body, r#"{"fault_message":"no \"kernel\""}"#);
    }
}
