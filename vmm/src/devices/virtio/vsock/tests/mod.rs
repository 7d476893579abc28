mod guest;
mod random;

use self::guest::{CID, Guest, PLENTY, PORTS, SERVICE};
use super::packet::Over;
use super::*;
use crate::devices::virtio::test_driver::{BUFFERS, WRITE};

#[test]
fn a_stream_of_the_guest_s_carries_bytes_both_ways() {
    let mut guest = Guest::new();
    guest.say(Operation::Request);
    let [(response, _)] = guest.receive().try_into().unwrap();
    let expected = Header { buffer: BUFFER, ..Header::to_guest(CID, PORTS, Operation::Response) };
    assert_eq!(response, expected);
    guest.send_data(b"to the host");
    assert_eq!(guest.peer().got, b"to the host");
    guest.host_sends(b"to the guest");
    let [(header, data)] = guest.receive().try_into().unwrap();
    assert_eq!((header.operation, header.forwarded, &data[..]), (Operation::Data, 11, &b"to the guest"[..]));
}

#[test]
fn a_port_where_nobody_is_and_a_stream_too_many_are_refused() {
    let mut guest = Guest::with_streams(2);
    for (port, expected) in [(SERVICE, Operation::Response), (SERVICE + 1, Operation::Reset)] {
        guest.send(Header { destination_port: port, ..Guest::header(Operation::Request) }, &[]);
        assert_eq!(guest.heard(), [expected]);
    }
    for (source_port, expected) in [(1, Operation::Response), (2, Operation::Reset)] {
        guest.send(Header { source_port, ..Guest::header(Operation::Request) }, &[]);
        assert_eq!(guest.heard(), [expected]);
    }
    // The first makes room.
    guest.say(Operation::Reset);
    guest.send(Header { source_port: 2, ..Guest::header(Operation::Request) }, &[]);
    assert_eq!(guest.heard(), [Operation::Response]);
}

#[test]
fn a_stream_of_the_host_s_asks_the_guest_and_says_when_it_is_there() {
    let mut guest = Guest::new();
    guest.device.host.visitors.push_back("CONNECT 77\nand more");
    guest.device.accept();
    let [(request, _)] = guest.receive().try_into().unwrap();
    assert_eq!((request.operation, request.destination_port), (Operation::Request, 77));
    assert!(guest.peer().got.is_empty(), "nobody has answered");
    let answer = Header {
        source_port: 77,
        destination_port: request.source_port,
        ..Guest::header(Operation::Response)
    };
    guest.send(answer, &[]);
    assert_eq!(guest.peer().got, format!("OK {}\n", request.source_port).as_bytes());
    let [(header, data)] = guest.receive().try_into().unwrap();
    assert_eq!((header.operation, &data[..]), (Operation::Data, &b"and more"[..]));
}

#[test]
fn who_says_something_else_leaves_or_is_refused_by_the_guest_is_let_go() {
    let mut guest = Guest::new();
    for says in ["LISTEN 5\n", "CONNECT 5 6\n", "CONNECT 99999999999\n", "CONNECT 0000000000000000000000000"]
    {
        guest.device.host.visitors.push_back(says);
        guest.device.accept();
        assert_eq!(guest.device.host.closed.len(), 1, "{says}");
        guest.device.host.closed.clear();
    }
    guest.device.host.visitors.push_back("CONN");
    guest.device.accept();
    guest.host_sends(b"ECT 5");
    assert!(guest.device.host.closed.is_empty(), "more may come");
    guest.host_hangs_up();
    assert_eq!(guest.device.host.closed.len(), 1);
    assert_eq!(guest.heard(), [], "the guest never heard of them");

    guest.device.host.visitors.push_back("CONNECT 5\n");
    guest.device.accept();
    let [(request, _)] = guest.receive().try_into().unwrap();
    let refusal =
        Header { source_port: 5, destination_port: request.source_port, ..Guest::header(Operation::Reset) };
    guest.send(refusal, &[]);
    assert_eq!(guest.device.host.closed.len(), 2);
    assert_eq!(guest.heard(), [], "no answer to an answer");
}

#[test]
fn nobody_is_accepted_before_the_driver_starts_or_without_a_place() {
    let mut guest = Guest::with_streams(1);
    guest.device.stop();
    guest.device.host.visitors.extend(["CONNECT 1\n", "CONNECT 2\n"]);
    guest.device.accept();
    assert_eq!(guest.device.host.visitors.len(), 2);
    guest.device.start(IDENTITY.features);
    assert_eq!(guest.device.host.visitors.len(), 1);
    guest.host_hangs_up();
    guest.receive();
    guest.device.accept();
    assert_eq!(guest.device.host.visitors.len(), 0);
}

#[test]
fn what_the_host_does_not_take_waits_and_comes_in_order() {
    let mut guest = Guest::connected();
    guest.peer().room = 10;
    let bytes: Vec<u8> = (0..200).collect();
    bytes.chunks(50).for_each(|part| guest.send_data(part));
    assert_eq!(guest.peer().got, bytes[..10]);
    assert!(guest.peer().awaited);
    for room in [15, 100, PLENTY] {
        guest.peer().room = room;
        guest.device.heard(0, Heard { writable: true, ..Heard::default() });
    }
    assert_eq!(guest.peer().got, bytes);
    assert!(!guest.peer().awaited);
}

#[test]
fn the_guest_hears_of_its_credit_when_half_of_it_is_back_or_it_asks() {
    let mut guest = Guest::connected();
    let updates = |guest: &mut Guest| -> Vec<u32> {
        let packets = guest.receive().into_iter();
        packets
            .map(|(header, _)| (assert_eq!(header.operation, Operation::CreditUpdate), header.forwarded).1)
            .collect()
    };
    guest.send_data(&vec![1; 20_000]);
    assert!(updates(&mut guest).is_empty());
    guest.send_data(&vec![1; 20_000]);
    assert_eq!(updates(&mut guest), [40_000]);
    guest.send_data(&[1; 5]);
    guest.say(Operation::CreditRequest);
    assert_eq!(updates(&mut guest), [40_005]);
}

#[test]
fn a_guest_that_sends_more_than_it_may_loses_the_stream() {
    let mut guest = Guest::connected();
    guest.peer().room = 0;
    guest.send_data(&vec![1; 65_536]);
    assert_eq!(guest.heard(), []);
    guest.send_data(&[1]);
    assert_eq!(guest.heard(), [Operation::Reset]);
    assert_eq!(guest.device.host.closed.len(), 1);
}

#[test]
fn the_guest_gets_no_more_than_it_has_room_for_and_is_asked_once() {
    let mut guest = Guest::connected();
    guest.send(Header { buffer: 100, ..Guest::header(Operation::CreditUpdate) }, &[]);
    guest.host_sends(&[7; 250]);
    let [(data, bytes), (request, _)] = guest.receive().try_into().unwrap();
    assert_eq!(
        (data.operation, bytes.len(), request.operation),
        (Operation::Data, 100, Operation::CreditRequest)
    );
    guest.host_sends(&[]);
    assert_eq!(guest.heard(), [], "asked already");
    guest.send(Header { buffer: 100, forwarded: 100, ..Guest::header(Operation::CreditUpdate) }, &[]);
    let lengths: Vec<usize> = guest.receive().iter().map(|(_, data)| data.len()).collect();
    assert_eq!(lengths, [100, 0]);
    guest.send(Header { buffer: 100, forwarded: 200, ..Guest::header(Operation::CreditUpdate) }, &[]);
    let lengths: Vec<usize> = guest.receive().iter().map(|(_, data)| data.len()).collect();
    assert_eq!(lengths, [50]);
}

#[test]
fn a_guest_that_sends_no_more_still_hears_and_ends_by_both() {
    let mut guest = Guest::connected();
    guest.peer().room = 3;
    guest.send_data(b"last words");
    guest.shut(Over::SENDING);
    assert_eq!(guest.peer().shut, [], "not before it has everything");
    guest.peer().room = PLENTY;
    guest.device.heard(0, Heard { writable: true, ..Heard::default() });
    assert_eq!(guest.peer().got, b"last words");
    assert_eq!(guest.peer().shut, [Direction::Sending]);
    guest.host_sends(b"an answer");
    assert_eq!(guest.receive()[0].1, b"an answer");
    guest.shut(Over::RECEIVING);
    assert_eq!(guest.heard(), [Operation::Reset]);
    assert_eq!(guest.device.host.closed.len(), 1);
}

#[test]
fn a_host_that_sends_no_more_still_gets_what_the_guest_sends() {
    let mut guest = Guest::connected();
    guest.peer().sends_no_more = true;
    guest.host_sends(b"all");
    let [(data, bytes), (shutdown, _)] = guest.receive().try_into().unwrap();
    assert_eq!((data.operation, &bytes[..]), (Operation::Data, &b"all"[..]));
    assert_eq!((shutdown.operation, shutdown.flags), (Operation::Shutdown, Over::SENDING.0));
    guest.send_data(b"thanks");
    assert_eq!(guest.peer().got, b"thanks");
    guest.host_hangs_up();
    let [(shutdown, _)] = guest.receive().try_into().unwrap();
    assert_eq!((shutdown.operation, shutdown.flags), (Operation::Shutdown, Over::BOTH.0));
    assert_eq!(guest.device.host.closed.len(), 1, "its descriptor is needed no more");
    guest.send_data(b"too late");
    guest.shut(Over::BOTH);
    assert_eq!(guest.heard(), [Operation::Reset]);
    guest.send_data(b"much too late");
    assert_eq!(guest.heard(), [Operation::Reset], "no such stream");
}

#[test]
fn what_a_host_sent_before_it_left_arrives_before_the_end() {
    let mut guest = Guest::connected();
    guest.send(Header { buffer: 5, ..Guest::header(Operation::CreditUpdate) }, &[]);
    guest.peer().sends.extend(b"farewell");
    guest.host_hangs_up();
    let first = guest.receive();
    assert_eq!(first[0].1, b"farew");
    guest.send(Header { buffer: 5, forwarded: 5, ..Guest::header(Operation::CreditUpdate) }, &[]);
    let rest = guest.receive();
    assert_eq!(rest[0].1, b"ell");
    assert_eq!((rest[1].0.operation, rest[1].0.flags), (Operation::Shutdown, Over::BOTH.0));
}

#[test]
fn packets_that_make_no_sense_end_their_stream_or_are_answered_by_a_reset() {
    let header = Guest::header;
    let data = |length| Header { length, ..header(Operation::Data) };
    for (what, packet, expected) in [
        ("more data than there is", data(100), &[Operation::Reset][..]),
        ("as much as there can be", data(u32::MAX), &[Operation::Reset]),
        ("a second request", header(Operation::Request), &[Operation::Reset]),
        ("an answer to nothing", header(Operation::Response), &[Operation::Reset]),
        ("an unknown operation", header(Operation::Unknown(99)), &[Operation::Reset]),
        ("no operation", header(Operation::Unknown(0)), &[Operation::Reset]),
        ("another kind of socket", Header { kind: 2, ..header(Operation::Data) }, &[Operation::Reset]),
        (
            "of a stream that is not there",
            Header { source_port: 1, ..header(Operation::Data) },
            &[Operation::Reset],
        ),
        ("from another guest", Header { source_cid: 53, ..header(Operation::Data) }, &[]),
        ("to another", Header { destination_cid: 3, ..header(Operation::Data) }, &[]),
        ("a reset of nothing", Header { source_port: 1, ..header(Operation::Reset) }, &[]),
        ("no data", data(0), &[]),
    ] {
        let mut guest = Guest::connected();
        guest.send(packet, &[]);
        assert_eq!(guest.heard(), expected, "{what}");
    }
}

#[test]
fn a_reply_to_another_kind_of_socket_is_of_that_kind() {
    let mut guest = Guest::new();
    guest.send(Header { kind: 2, ..Guest::header(Operation::Request) }, &[]);
    let [(reset, _)] = guest.receive().try_into().unwrap();
    assert_eq!((reset.operation, reset.kind), (Operation::Reset, 2));
}

#[test]
fn a_packet_without_a_header_and_a_buffer_that_holds_none_break_the_queue() {
    let mut guest = Guest::connected();
    assert!(guest.send_bytes(&[0; 43]).is_err());
    let mut guest = Guest::connected();
    guest.host_sends(b"x");
    let (driver, queue) = &mut guest.incoming;
    driver.offer(&[(BUFFERS, 44, WRITE)]);
    assert!(guest.device.serve(RECEIVE, queue, &driver.memory).is_err());
}

#[test]
fn a_guest_that_takes_no_answers_is_heard_no_more_until_it_does() {
    let mut guest = Guest::new();
    let nonsense = Header { source_port: 1, ..Guest::header(Operation::Data) };
    (0..256).for_each(|_| guest.send(nonsense, &[]));
    assert!(!guest.device.has_work(TRANSMIT));
    guest.send(nonsense, &[]);
    assert_eq!(guest.outgoing.0.used().0, 256, "the last one waits");
    assert_eq!(guest.receive_in(1).len(), 1);
    assert!(guest.device.has_work(TRANSMIT));
    let (driver, queue) = &mut guest.outgoing;
    guest.device.serve(TRANSMIT, queue, &driver.memory).unwrap();
    assert_eq!(driver.used().0, 257);
}

#[test]
fn streams_take_turns() {
    let mut guest = Guest::new();
    for source_port in 0..3 {
        guest.send(Header { source_port, ..Guest::header(Operation::Request) }, &[]);
    }
    guest.receive();
    for stream in 0..3 {
        guest.device.host.peer(stream).sends.extend(vec![0; 30_000]);
        guest.device.heard(stream, Heard { readable: true, ..Heard::default() });
    }
    let ports: Vec<u32> = guest.receive_in(6).iter().map(|(header, _)| header.destination_port).collect();
    assert_eq!(ports, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn there_is_no_work_while_buffers_are_wanted_and_a_reset_ends_everything() {
    let mut guest = Guest::connected();
    guest.host_sends(&[1; 10_000]);
    assert!(guest.device.has_work(RECEIVE));
    assert_eq!(guest.receive_in(1).len(), 1);
    assert!(!guest.device.has_work(RECEIVE), "it waits for a buffer");
    guest.device.host.visitors.push_back("CONN");
    guest.device.accept();
    guest.device.stop();
    assert_eq!(guest.device.host.closed.len(), 2);
    assert!(guest.device.host.peers.is_empty());
    assert!(!guest.device.has_work(RECEIVE));
    guest.device.start(IDENTITY.features);
    guest.say(Operation::Request);
    assert_eq!(guest.heard(), [Operation::Response]);
}
