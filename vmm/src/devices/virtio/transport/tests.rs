use proptest::prelude::*;

use super::*;

const AGREED: u32 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
const IDENTITY: Identity =
    Identity { device_type: 4, features: Features(1 << 32 | 1 << 5), queues: &[256, 64] };

fn read(transport: &Transport, offset: u64) -> u32 {
    let mut data = [0xee; 4];
    transport.read(offset, &mut data);
    u32::from_le_bytes(data)
}

fn write(transport: &Transport, offset: u64, value: u32) -> Option<Asked> {
    transport.write(offset, &value.to_le_bytes())
}

/// A device whose driver has come as far as the features, and takes these.
fn with_features(features: u64) -> Transport {
    let transport = Transport::new(IDENTITY, Configuration::new(Vec::new()));
    write(&transport, register::STATUS, status::ACKNOWLEDGE);
    write(&transport, register::STATUS, status::ACKNOWLEDGE | status::DRIVER);
    for select in [0, 1] {
        write(&transport, register::DRIVER_FEATURES_SEL, select);
        write(&transport, register::DRIVER_FEATURES, half(Features(features), select));
    }
    write(&transport, register::STATUS, AGREED);
    transport
}

/// A device whose driver is about to start.
fn set_up() -> Transport {
    let transport = with_features(1 << 32);
    write(&transport, register::QUEUE_SEL, 1);
    write(&transport, register::QUEUE_NUM, 64);
    for (register, address) in [
        (register::QUEUE_DESC, 0x1_2000),
        (register::QUEUE_DRIVER, 0x2_3000),
        (register::QUEUE_DEVICE, 0x3_4000),
    ] {
        write(&transport, register, address);
        write(&transport, register + 4, 0x5);
    }
    write(&transport, register::QUEUE_READY, 1);
    transport
}

#[test]
fn a_device_says_what_it_is_and_what_it_offers() {
    let transport = Transport::new(IDENTITY, Configuration::new(Vec::new()));
    assert_eq!([0, 4, 8, 12].map(|at| read(&transport, at)), [0x7472_6976, 2, 4, 0]);
    for (select, features) in [(0, 1 << 5), (1, 1), (2, 0), (u32::MAX, 0)] {
        write(&transport, register::DEVICE_FEATURES_SEL, select);
        assert_eq!(read(&transport, register::DEVICE_FEATURES), features);
    }
    for (select, most) in [(0, 256), (1, 64), (2, 0), (u32::MAX, 0)] {
        write(&transport, register::QUEUE_SEL, select);
        assert_eq!(read(&transport, register::QUEUE_NUM_MAX), most);
    }
    assert_eq!(read(&transport, register::SHM_LEN), u32::MAX, "no shared memory");
    assert_eq!(read(&transport, register::QUEUE_NUM), 0xeeee_eeee, "only written");
}

#[test]
fn features_that_are_not_offered_or_leave_out_version_1_are_not_agreed_upon() {
    for (features, agreed) in
        [(1 << 32, true), (1 << 32 | 1 << 5, true), (1 << 5, false), (0, false), (1 << 32 | 1 << 6, false)]
    {
        let transport = with_features(features);
        assert_eq!(read(&transport, register::STATUS) == AGREED, agreed, "{features:#x}");
    }
}

#[test]
fn a_driver_starts_in_order_and_may_leave_out_nothing() {
    let transport = Transport::new(IDENTITY, Configuration::new(Vec::new()));
    for too_early in
        [status::DRIVER, status::FEATURES_OK, status::DRIVER_OK, AGREED, status::ACKNOWLEDGE | status::DRIVER]
    {
        assert_eq!(write(&transport, register::STATUS, too_early), None);
        assert_eq!(read(&transport, register::STATUS), 0, "{too_early}");
    }
    let transport = with_features(1 << 32);
    assert_eq!(write(&transport, register::STATUS, status::FAILED), None);
    assert_eq!(read(&transport, register::STATUS), AGREED | status::FAILED);
}

#[test]
fn a_change_of_the_configuration_interrupts_a_driver_that_has_started() {
    let transport = Transport::new(IDENTITY, Configuration::new(vec![0; 4]));
    transport.configuration().set(0, &[1]);
    assert!(!transport.tell_of_configuration(), "nobody is there");
    assert_eq!(read(&transport, register::CONFIG_GENERATION), 1);
    let transport = set_up();
    write(&transport, register::STATUS, AGREED | status::DRIVER_OK);
    transport.settle(Request::Activate);
    assert!(!transport.tell_of_configuration());
    transport.configuration().set(0, &[1]);
    assert!(transport.tell_of_configuration());
    assert_eq!(read(&transport, register::INTERRUPT_STATUS), CONFIGURATION_CHANGED);
    assert!(!transport.tell_of_configuration());
}

#[test]
fn queues_are_what_the_driver_wrote_and_only_before_it_starts() {
    let transport = set_up();
    let written = Setting {
        size: 64,
        ready: true,
        descriptors: 0x5_0001_2000,
        driver: 0x5_0002_3000,
        device: 0x5_0003_4000,
    };
    assert_eq!(
        (transport.setting(0), transport.setting(1), transport.setting(2)),
        (None, Some(written), None)
    );
    assert_eq!(write(&transport, register::STATUS, AGREED | status::DRIVER_OK), Some(Asked::Settle));
    transport.settle(Request::Activate);
    write(&transport, register::QUEUE_NUM, 32);
    write(&transport, register::QUEUE_DESC, 0);
    assert_eq!(transport.setting(1), Some(written));
    let unready = with_features(1 << 32);
    write(&unready, register::QUEUE_NUM, 0x1_0040);
    write(&unready, register::QUEUE_READY, 2);
    assert_eq!(unready.setting(0), None);
}

#[test]
fn until_a_start_or_reset_is_settled_no_write_does_anything() {
    let transport = set_up();
    assert!(transport.unsettled().is_none());
    write(&transport, register::STATUS, AGREED | status::DRIVER_OK);
    assert_eq!(transport.request(), Some(Request::Activate));
    assert!(transport.unsettled().is_some());
    assert_eq!(write(&transport, register::STATUS, 0), Some(Asked::Again));
    assert_eq!(read(&transport, register::STATUS), AGREED | status::DRIVER_OK, "it may be read");
    transport.settle(Request::Activate);
    assert_eq!(write(&transport, register::STATUS, 0), Some(Asked::Settle));
    assert_eq!((transport.request(), transport.setting(1)), (Some(Request::Reset), None));
    transport.used_buffers();
    transport.settle(Request::Reset);
    assert_eq!(read(&transport, register::INTERRUPT_STATUS), 0, "of its old life");
    assert_eq!(write(&transport, register::STATUS, 0), None, "nothing is in use");
}

#[test]
fn an_interrupt_says_why_until_it_is_acknowledged() {
    let transport = set_up();
    write(&transport, register::STATUS, AGREED | status::DRIVER_OK);
    transport.settle(Request::Activate);
    transport.used_buffers();
    transport.need_reset();
    assert_eq!(read(&transport, register::INTERRUPT_STATUS), 3);
    write(&transport, register::INTERRUPT_ACK, 1);
    assert_eq!(read(&transport, register::INTERRUPT_STATUS), 2);
    assert_eq!(read(&transport, register::STATUS), AGREED | status::DRIVER_OK | status::NEEDS_RESET);
    // Drivers write what they read with a bit more.
    write(&transport, register::STATUS, AGREED | status::DRIVER_OK | status::NEEDS_RESET | status::FAILED);
    assert_ne!(read(&transport, register::STATUS) & status::FAILED, 0);
}

#[test]
fn a_device_that_was_reset_meanwhile_needs_no_reset() {
    let transport = set_up();
    write(&transport, register::STATUS, AGREED | status::DRIVER_OK);
    transport.settle(Request::Activate);
    write(&transport, register::STATUS, 0);
    transport.need_reset();
    assert_eq!(read(&transport, register::STATUS), 0);
}

#[test]
fn the_configuration_space_is_read_in_any_width_and_never_written() {
    let transport = Transport::new(IDENTITY, Configuration::new((1..=10).collect()));
    for (offset, expected) in [
        (0, &[1][..]),
        (0, &[1, 2, 3, 4, 5, 6, 7, 8]),
        (6, &[7, 8]),
        (8, &[9, 10, 0xee, 0xee]),
        (10, &[0xee]),
        (0xeff, &[0xee]),
    ] {
        let mut data = vec![0xee; expected.len()];
        transport.read(register::CONFIG + offset, &mut data);
        assert_eq!(data, expected, "{offset}");
    }
    assert_eq!(write(&transport, register::CONFIG, 0), None);
    assert_eq!(read(&transport, register::CONFIG), 0x0403_0201);
}

#[test]
fn accesses_of_other_widths_and_places_do_nothing() {
    let transport = Transport::new(IDENTITY, Configuration::new(Vec::new()));
    for length in [1, 2, 3, 8] {
        let mut data = vec![0xee; length];
        transport.read(register::MAGIC_VALUE, &mut data);
        assert_eq!(data, vec![0xee; length]);
        assert_eq!(transport.write(register::STATUS, &vec![1; length]), None);
    }
    assert_eq!(read(&transport, register::STATUS), 0);
    assert_eq!(read(&transport, 0x0b1), 0xeeee_eeee);
}

proptest! {
    #[test]
    fn whatever_is_written_in_whatever_order_no_driver_starts_without_agreement(
        writes in proptest::collection::vec((0u64..0x120, prop_oneof![any::<u32>(), 0u32..16]), 0..200),
    ) {
        let transport = set_up();
        for (offset, value) in writes {
            let offset = if offset % 3 == 0 { register::STATUS } else { offset };
            write(&transport, offset, value);
            read(&transport, offset);
            let status = read(&transport, register::STATUS);
            prop_assert!(status & status::DRIVER_OK == 0 || status & AGREED == AGREED, "{status:#x}");
            if let Some(request) = transport.request() {
                transport.settle(request);
            }
        }
    }
}
