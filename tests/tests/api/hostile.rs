//! Clients that mean harm, or are broken.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use ringfence_tests::api::{self, Client, Served};

/// The API answers as ever.
fn assert_serves(served: &Served) {
    assert_eq!(served.get("/")["state"], "Not started");
}

#[test]
fn requests_sent_ahead_are_answered_in_their_order() {
    let served = api::serve::<&str>([]);
    let mut client = served.connect();
    let requests: String = (1..=32)
        .map(|count| Client::request("PATCH", "/machine-config", &format!(r#"{{"vcpu_count":{count}}}"#)))
        .flat_map(|put| [put, Client::request("GET", "/machine-config", "")])
        .collect();
    client.send(requests);
    for count in 1..=32 {
        assert_eq!(client.answer().map(|answer| answer.status), Some(204));
        let body = client.answer().expect("an answer").body;
        assert!(body.contains(&format!("\"vcpu_count\":{count},")), "{body}");
    }
    client.end();
    assert_eq!(client.answer(), None);
}

#[test]
fn bytes_that_are_no_request_are_refused_and_the_connection_closed() {
    let served = api::serve::<&str>([]);
    let huge_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many_headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
    for (bytes, status) in [
        ("\u{0}\u{1}\u{2}\r\n\r\n".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("PUT /vm HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 400),
        ("PUT /vm HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_owned(), 400),
        ("PUT /vm HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
        ("PUT /vm HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n".to_owned(), 413),
        ("PUT /vm HTTP/1.1\r\nContent-Length: 51201\r\n\r\n".to_owned(), 413),
        (huge_header, 431),
        (many_headers, 431),
    ] {
        let mut client = served.connect();
        // The rest of a long one is not taken any more.
        let _ = std::io::Write::write_all(&mut client.stream(), bytes.as_bytes());
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, status, "{bytes:.60}: {}", answer.body);
        assert!(answer.head.contains("Connection: close") && answer.body.contains("fault_message"));
        assert_eq!(client.answer(), None);
    }
    assert_serves(&served);
}

#[test]
fn the_limit_of_a_body_is_the_one_that_was_asked_for() {
    let begin = |socket: &std::path::Path| ["firecracker".into(), "--api-sock".into(), socket.to_owned()];
    let binary = ringfence_tests::binary::ringfence();
    let served = api::serve_by(binary, begin, ["--http-api-max-payload-size", "20"]);
    assert_eq!(served.ask("PUT", "/vsock", &"x".repeat(20)).status, 400);
    assert_eq!(served.ask("PUT", "/vsock", &"x".repeat(21)).status, 413);
}

#[test]
fn clients_that_go_in_the_middle_leave_nothing_behind() {
    let served = api::serve::<&str>([]);
    let whole = Client::request("PUT", "/machine-config", r#"{"vcpu_count":2,"mem_size_mib":64}"#);
    for cut in 0..whole.len() {
        let mut client = served.connect();
        client.send(&whole[..cut]);
    }
    assert_serves(&served);
    assert_eq!(served.get("/machine-config")["vcpu_count"], 1, "half a request was carried out");
}

#[test]
fn a_thousand_connections_that_say_nothing_keep_nobody_out() {
    let served = api::serve::<&str>([]);
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(UnixStream::connect(served.socket()).expect("the socket takes connections"));
        if silent.len() % 100 == 0 {
            assert_serves(&served);
        }
    }
    assert_serves(&served);
}

#[test]
fn a_request_that_does_not_arrive_is_given_up_and_slots_full_of_them_become_free() {
    let served = api::serve::<&str>([]);
    let mut slow: Vec<Client> = (0..64)
        .map(|_| {
            let mut client = served.connect();
            client.send("PUT /machine-config HTTP/1.1\r\n");
            client
        })
        .collect();
    for client in &mut slow {
        let answer = client.answer().expect("an answer");
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains("too long"), "{}", answer.body);
    }
    assert_serves(&served);
}

#[test]
fn a_client_that_takes_no_answer_keeps_the_others_from_nothing() {
    let served = api::serve::<&str>([]);
    let client = served.connect();
    let stream = client.stream();
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a socket takes a timeout");
    let request = Client::request("GET", "/vm/config", "");
    let mut refused = false;
    for _ in 0..100_000 {
        if std::io::Write::write_all(&mut &*stream, request.as_bytes()).is_err() {
            refused = true;
            break;
        }
    }
    assert!(refused, "a client that reads nothing is kept waiting at last");
    assert_serves(&served);
}
