//! The head of a request: its first line and its headers.

use crate::api::response::{Response, Status};

/// Headers of a request at most.
const HEADERS: usize = 64;

/// What a head says, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    /// Bytes of the body.
    pub(super) body: usize,
    /// The connection goes on after the answer.
    pub(super) keep_alive: bool,
    /// The client waits for a word before it sends the body.
    pub(super) expects_continue: bool,
}

fn refusal(why: impl std::fmt::Display) -> Response {
    Response::refusal(Status::BadRequest, &why.to_string())
}

/// Where a head ends that begins at the start of `bytes`, with the empty line; looked for from `from` on.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    // Lines end with CR LF or, as every parser takes it, with LF alone.
    let mut line_is_empty = false;
    for (index, &byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'\n' if line_is_empty => return Some(index + 1),
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    None
}

impl Head {
    /// Reads a whole head.
    ///
    /// # Errors
    /// The answer to a head that cannot be understood; the connection is of no use afterwards.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Response> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(refusal("the request's head is cut off")),
            Err(httparse::Error::TooManyHeaders) => {
                let why = format!("a request has at most {HEADERS} headers");
                return Err(Response::refusal(Status::HeaderTooLarge, &why));
            }
            Err(error) => return Err(refusal(format_args!("this is no HTTP/1.1 request: {error}"))),
        }
        let minor = request.version.unwrap_or_default();
        let mut head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: request.path.unwrap_or_default().to_owned(),
            body: 0,
            // For HTTP/1.0 as well: RFC 9112 section 9.3 would close, but Firecracker goes on, and clients rely on
            // that. Every answer has a length of its own, so nobody has to wait for the connection's end.
            keep_alive: true,
            expects_continue: false,
        };
        let mut length = None;
        for header in request.headers.iter() {
            let value = header.value.trim_ascii();
            if header.name.eq_ignore_ascii_case("content-length") {
                let number = content_length(value)?;
                // Two that differ are how one request is smuggled in another: RFC 9112 section 6.3.
                if length.replace(number).is_some_and(|other| other != number) {
                    return Err(refusal("the request has two lengths"));
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(refusal(
                    "a body with Transfer-Encoding is not taken; send it with its Content-Length",
                ));
            } else if header.name.eq_ignore_ascii_case("connection") {
                head.heed_connection(value);
            } else if header.name.eq_ignore_ascii_case("expect") {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(refusal("the request expects what no server here does"));
                }
                head.expects_continue = minor == 1;
            }
        }
        head.body = length.unwrap_or_default();
        Ok(head)
    }

    fn heed_connection(&mut self, value: &[u8]) {
        let mut options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        self.keep_alive &= !options.any(|option| option.eq_ignore_ascii_case(b"close"));
    }
}

fn content_length(value: &[u8]) -> Result<usize, Response> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    // Too many digits are a number beyond every limit.
    let number = std::str::from_utf8(value).ok().map(|text| text.parse().unwrap_or(usize::MAX));
    number.filter(|_| digits).ok_or_else(|| refusal("Content-Length is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Result<Head, String> {
        Head::parse(lines.as_bytes()).map_err(|response| response.body)
    }

    #[test]
    fn a_head_says_method_path_and_length() {
        let head = head("PUT /a%20b?c HTTP/1.1\r\ncontent-LENGTH:  12 \r\n\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str(), head.body), ("PUT", "/a%20b?c", 12));
        assert!(head.keep_alive && !head.expects_continue);
    }

    #[test]
    fn whether_the_connection_goes_on() {
        let goes_on = |text: &str| head(text).unwrap().keep_alive;
        assert!(goes_on("GET / HTTP/1.1\r\n\r\n"));
        assert!(!goes_on("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n"));
        assert!(goes_on("GET / HTTP/1.0\r\n\r\n"));
        assert!(!goes_on("GET / HTTP/1.0\r\nConnection: close\r\n\r\n"));
        assert!(!goes_on("GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn a_head_that_could_be_read_in_two_ways_is_refused() {
        for (headers, why) in [
            ("Content-Length: 1\r\nContent-Length: 2", "two lengths"),
            ("Content-Length: +1", "no number"),
            ("Content-Length: -1", "no number"),
            ("Content-Length:", "no number"),
            ("Content-Length: 1, 1", "no number"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding"),
            ("Expect: miracles", "expects"),
            ("no header", "no HTTP/1.1 request"),
        ] {
            let error = head(&format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n")).unwrap_err();
            assert!(error.contains(why), "{headers}: {error}");
        }
        assert!(head("GET / HTTP/2.0\r\n\r\n").is_err());
        assert_eq!(
            head("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n").unwrap().body,
            usize::MAX
        );
    }

    #[test]
    fn the_end_of_a_head_is_its_empty_line() {
        assert_eq!(end(b"a\r\nb\r\n\r\nc", 0), Some(8));
        assert_eq!(end(b"a\nb\n\nc", 0), Some(5));
        assert_eq!(end(b"a\r\nb\r\n", 0), None);
    }
}
