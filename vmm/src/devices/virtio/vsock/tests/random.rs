//! Whatever guest and host do, in whatever order.

use proptest::prelude::*;

use super::super::*;
use super::guest::{CID, Guest, PLENTY, SERVICE};
use crate::devices::virtio::test_driver::Driver;

/// What happens, in tests of whatever happens.
#[derive(Clone, Debug)]
enum Event {
    Packet {
        port: u32,
        host: u32,
        operation: u16,
        flags: u32,
        buffer: u32,
        forwarded: u32,
        length: u32,
        data: usize,
    },
    Bytes(Vec<u8>),
    HostSends(StreamId, usize),
    HostTakes(StreamId, usize),
    HostEnds(StreamId, bool),
    Visitor(&'static str),
    Receive(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let packet = (
        0..3u32,
        0..2u32,
        0..9u16,
        0..4u32,
        prop_oneof![Just(100u32), Just(65_536), any::<u32>()],
        prop_oneof![0..2000u32, any::<u32>()],
        prop_oneof![0..300u32, any::<u32>()],
        0..300usize,
    );
    prop_oneof![
        6 => packet.prop_map(|(port, host, operation, flags, buffer, forwarded, length, data)| Event::Packet {
            port, host: SERVICE + host, operation, flags, buffer, forwarded, length: if length < 300 { u32::try_from(data).unwrap() } else { length }, data,
        }),
        1 => proptest::collection::vec(any::<u8>(), 44..60).prop_map(Event::Bytes),
        2 => (0..4u16, 0..5000usize).prop_map(|(stream, count)| Event::HostSends(stream, count)),
        2 => (0..4u16, 0..500usize).prop_map(|(stream, count)| Event::HostTakes(stream, count)),
        1 => (0..4u16, any::<bool>()).prop_map(|(stream, both)| Event::HostEnds(stream, both)),
        1 => prop_oneof![Just("CONNECT 1\n"), Just("CONNECT 2\nmore"), Just("CON"), Just("wrong\n")].prop_map(Event::Visitor),
        2 => (0..4u16).prop_map(Event::Receive),
    ]
}

proptest! {
    #[test]
    fn whatever_guest_and_host_do_the_device_goes_on_and_a_reset_frees_every_place(
        events in proptest::collection::vec(event(), 0..80),
    ) {
        let mut guest = Guest::new();
        for event in events {
            match event {
                Event::Packet { port, host, operation, flags, buffer, forwarded, length, data } => {
                    let mut bytes = Header {
                        source_port: port,
                        destination_port: host,
                        flags,
                        buffer,
                        forwarded,
                        length,
                        ..Guest::header(Operation::Data)
                    }.to_bytes();
                    bytes[30] = operation.to_le_bytes()[0];
                    guest.send_bytes(&[&bytes[..], &vec![9; data]].concat()).unwrap();
                }
                Event::Bytes(bytes) => {
                    guest.send_bytes(&bytes).unwrap();
                }
                Event::HostSends(stream, count) => {
                    let Some(peer) = guest.device.host.peers.get_mut(&stream) else { continue };
                    peer.sends.extend(vec![5; count]);
                    guest.device.heard(stream, Heard { readable: true, ..Heard::default() });
                }
                Event::HostTakes(stream, count) => {
                    let Some(peer) = guest.device.host.peers.get_mut(&stream) else { continue };
                    peer.room = count;
                    guest.device.heard(stream, Heard { writable: true, ..Heard::default() });
                }
                Event::HostEnds(stream, hung_up) => {
                    let Some(peer) = guest.device.host.peers.get_mut(&stream) else { continue };
                    peer.sends_no_more = true;
                    peer.takes_no_more |= hung_up;
                    guest.device.heard(stream, Heard { readable: true, writable: hung_up, hung_up });
                }
                Event::Visitor(says) => {
                    guest.device.host.visitors.push_back(says);
                    guest.device.accept();
                }
                Event::Receive(buffers) => {
                    guest.receive_in(buffers);
                }
            }
            if let Some(packet) = guest.receive().first() {
                prop_assert_eq!((packet.0.source_cid, packet.0.destination_cid), (2, u64::from(CID)));
            }
        }
        guest.device.stop();
        prop_assert!(guest.device.host.peers.is_empty());
        for source_port in 0..4 {
            guest.send(Header { source_port, ..Guest::header(Operation::Request) }, &[]);
            prop_assert_eq!(guest.heard(), [Operation::Response]);
        }
    }

    #[test]
    fn bytes_arrive_in_order_whatever_the_sizes_and_the_waits(
        parts in proptest::collection::vec((1..3000usize, 0..4000usize), 1..40),
        back in proptest::collection::vec((0..9000usize, 1..3u16, 0..6000u32), 1..40),
    ) {
        let mut guest = Guest::connected();
        let mut next = 0u8;
        let mut bytes = |count: usize| -> Vec<u8> {
            (0..count).map(|_| { next = next.wrapping_mul(13).wrapping_add(7); next }).collect()
        };
        let mut sent = Vec::new();
        guest.peer().room = 0;
        for (length, room) in parts {
            // Its own account: what it was promised, less what waits.
            let waits = sent.len() - guest.peer().got.len();
            let part = bytes(length.min(BUFFER as usize - waits));
            guest.send_data(&part);
            sent.extend(part);
            guest.peer().room = room;
            guest.device.heard(0, Heard { writable: true, ..Heard::default() });
        }
        guest.peer().room = PLENTY;
        guest.device.heard(0, Heard { writable: true, ..Heard::default() });
        prop_assert_eq!(&guest.peer().got, &sent);

        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for (length, buffers, room) in back {
            let part = bytes(length);
            guest.host_sends(&part);
            given.extend(part);
            let forwarded = u32::try_from(taken.len()).unwrap();
            guest.send(Header { buffer: room, forwarded, ..Guest::header(Operation::CreditUpdate) }, &[]);
            let mut got = 0;
            for (header, data) in guest.receive_in(buffers) {
                prop_assert_eq!(header.operation == Operation::Data, !data.is_empty());
                got += data.len();
                taken.extend(data);
            }
            prop_assert!(got <= room as usize);
            guest.incoming = (Driver::new(), Driver::new().queue());
            guest.received = 0;
        }
        prop_assert_eq!(&given[..taken.len()], &taken[..]);
    }
}
