//! The registers of a virtio device over MMIO, virtio 1.2 section 4.2.2, and their handing over.
//!
//! What begins and ends the use of the queues belongs to the thread that drives the device. The write that asks for it is
//! recorded here; the thread that took it tells the other, and the guest goes on when that one has settled it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::configuration::Configuration;
use super::device::{Features, Identity};
use super::queue::Setting;
use super::register::{self, MAGIC, status};

/// Bits of the interrupt status.
const USED_BUFFERS: u32 = 1;
const CONFIGURATION_CHANGED: u32 = 2;

/// What the registers ask of the thread that drives the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Take the queues into use.
    Activate,
    /// Let go of them.
    Reset,
}

/// Values of the word on which a vCPU waits.
const SETTLED: u32 = 0;
const ACTIVATE: u32 = 1;
const RESET: u32 = 2;

/// What a write asks of the thread that took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To tell the thread that drives the device, and to wait until it has settled the matter.
    Settle,
    /// To wait until an earlier matter is settled, and to write again: nothing has happened.
    Again,
}

/// The registers of one device.
#[derive(Debug)]
pub struct Transport {
    identity: Identity,
    configuration: Configuration,
    registers: Mutex<Registers>,
    interrupt: AtomicU32,
    /// [`SETTLED`], or what is asked of the device's thread.
    request: AtomicU32,
}

#[derive(Debug)]
struct Registers {
    status: u32,
    device_select: u32,
    driver_select: u32,
    driver_features: Features,
    queue_select: u32,
    queues: Vec<Setting>,
}

impl Registers {
    fn new(queues: usize) -> Self {
        Self {
            status: 0,
            device_select: 0,
            driver_select: 0,
            driver_features: Features(0),
            queue_select: 0,
            queues: vec![Setting::default(); queues],
        }
    }

    /// As after the machine's start. Keeps its memory, since no thread that comes here may allocate.
    fn reset(&mut self) {
        self.queues.fill(Setting::default());
        let queues = std::mem::take(&mut self.queues);
        *self = Self { queues, ..Self::new(0) };
    }

    fn queue(&mut self) -> Option<&mut Setting> {
        self.queues.get_mut(usize::try_from(self.queue_select).ok()?)
    }
}

impl Transport {
    /// The registers of a device that nobody has noticed yet, and its configuration space.
    pub fn new(identity: Identity, configuration: Configuration) -> Self {
        Self {
            identity,
            configuration,
            registers: Mutex::new(Registers::new(identity.queues.len())),
            interrupt: AtomicU32::new(0),
            request: AtomicU32::new(SETTLED),
        }
    }

    /// What a driver sees of the device.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its configuration space.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    fn registers(&self) -> MutexGuard<'_, Registers> {
        self.registers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest reads. Registers are read as a whole, the configuration space in any width; what is not there leaves
    /// `data` as it is.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        if let Some(from) = offset.checked_sub(register::CONFIG) {
            self.configuration.read(from, data);
        } else if let (Some(value), Ok(data)) = (self.register(offset), <&mut [u8; 4]>::try_from(data)) {
            *data = value.to_le_bytes();
        }
    }

    fn register(&self, offset: u64) -> Option<u32> {
        let queue_max = |registers: &Registers| {
            let queue = usize::try_from(registers.queue_select).ok()?;
            self.identity.queues.get(queue).copied()
        };
        Some(match offset {
            register::MAGIC_VALUE => MAGIC,
            register::VERSION => 2,
            register::DEVICE_ID => self.identity.device_type,
            register::VENDOR_ID => 0,
            register::CONFIG_GENERATION => self.configuration.generation(),
            register::DEVICE_FEATURES => half(self.identity.features, self.registers().device_select),
            register::QUEUE_NUM_MAX => queue_max(&self.registers()).map_or(0, u32::from),
            register::QUEUE_READY => self.registers().queue().is_some_and(|queue| queue.ready).into(),
            register::INTERRUPT_STATUS => self.interrupt.load(Ordering::SeqCst),
            register::STATUS => self.registers().status,
            register::SHM_LEN..=register::SHM_BASE_HIGH if offset.is_multiple_of(4) => u32::MAX,
            _ => return None,
        })
    }

    /// The guest writes. `None`: done.
    pub fn write(&self, offset: u64, data: &[u8]) -> Option<Asked> {
        if let Some(from) = offset.checked_sub(register::CONFIG) {
            self.configuration.driver_writes(from, data);
            return None;
        }
        let value = u32::from_le_bytes(data.try_into().ok()?);
        let mut registers = self.registers();
        if self.request.load(Ordering::SeqCst) != SETTLED {
            return Some(Asked::Again);
        }
        match offset {
            register::STATUS => return self.write_status(&mut registers, value),
            register::DEVICE_FEATURES_SEL => registers.device_select = value,
            register::DRIVER_FEATURES_SEL => registers.driver_select = value,
            register::DRIVER_FEATURES => take_features(&mut registers, value),
            register::QUEUE_SEL => registers.queue_select = value,
            register::INTERRUPT_ACK => {
                self.interrupt.fetch_and(!value, Ordering::SeqCst);
            }
            _ => set_up_queue(&mut registers, offset, value),
        }
        None
    }

    fn write_status(&self, registers: &mut Registers, value: u32) -> Option<Asked> {
        let before = registers.status;
        if value == 0 {
            registers.reset();
            self.interrupt.store(0, Ordering::SeqCst);
            return (before & status::DRIVER_OK != 0).then(|| self.ask(RESET));
        }
        // The device's own bit, which drivers write back as they read it.
        let added = value & !before & !status::NEEDS_RESET;
        let taken = registers.driver_features;
        let may_add = match added {
            status::ACKNOWLEDGE => before == 0,
            status::DRIVER => before == status::ACKNOWLEDGE,
            status::FEATURES_OK => {
                before == status::ACKNOWLEDGE | status::DRIVER
                    && self.identity.features.contain(taken)
                    && taken.contain(Features::VERSION_1)
            }
            status::DRIVER_OK => before == status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK,
            status::FAILED => true,
            _ => false,
        };
        if !may_add {
            return None;
        }
        registers.status |= added;
        (added == status::DRIVER_OK).then(|| self.ask(ACTIVATE))
    }

    fn ask(&self, request: u32) -> Asked {
        self.request.store(request, Ordering::SeqCst);
        Asked::Settle
    }

    /// A word and what it holds while something is not settled.
    pub fn unsettled(&self) -> Option<(&AtomicU32, u32)> {
        let request = self.request.load(Ordering::SeqCst);
        (request != SETTLED).then_some((&self.request, request))
    }

    /// The device's thread: what is asked of it.
    pub fn request(&self) -> Option<Request> {
        match self.request.load(Ordering::SeqCst) {
            ACTIVATE => Some(Request::Activate),
            RESET => Some(Request::Reset),
            _ => None,
        }
    }

    /// The device's thread: the features that are agreed upon, once the driver has started the device.
    pub fn agreed(&self) -> Features {
        self.registers().driver_features
    }

    /// The device's thread: what the driver wrote of a queue; `None` for one that it does not use.
    pub fn setting(&self, index: u16) -> Option<Setting> {
        self.registers().queues.get(usize::from(index)).copied().filter(|setting| setting.ready)
    }

    /// The device's thread: has done what was asked. Returns the word whose waiters are to be woken.
    pub fn settle(&self, request: Request) -> &AtomicU32 {
        if request == Request::Reset {
            // An interrupt of the device's old life, which it raised while it was told.
            self.interrupt.store(0, Ordering::SeqCst);
        }
        self.request.store(SETTLED, Ordering::SeqCst);
        &self.request
    }

    /// The device's thread: used buffers wait for the driver. To be called before the interrupt is raised.
    pub fn used_buffers(&self) {
        self.interrupt.fetch_or(USED_BUFFERS, Ordering::SeqCst);
    }

    /// The device's thread: notes for the driver that the configuration has changed. True if it has, and the driver is there to
    /// be interrupted; one that starts later reads what there is.
    pub fn tell_of_configuration(&self) -> bool {
        let told = self.configuration.take_untold() && self.registers().status & status::DRIVER_OK != 0;
        if told {
            self.interrupt.fetch_or(CONFIGURATION_CHANGED, Ordering::SeqCst);
        }
        told
    }

    /// The device's thread: the device cannot go on. The driver is to be interrupted.
    pub fn need_reset(&self) {
        let mut registers = self.registers();
        if registers.status & status::DRIVER_OK == 0 {
            // The driver has reset it meanwhile.
            return;
        }
        registers.status |= status::NEEDS_RESET;
        self.interrupt.fetch_or(CONFIGURATION_CHANGED, Ordering::SeqCst);
    }
}

fn half(features: Features, select: u32) -> u32 {
    match select {
        0 => lower_half(features.0),
        1 => lower_half(features.0 >> 32),
        _ => 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
const fn lower_half(value: u64) -> u32 {
    value as u32
}

fn with_half(value: u64, select: u32, half: u32) -> u64 {
    match select {
        0 => value & !u64::from(u32::MAX) | u64::from(half),
        1 => value & u64::from(u32::MAX) | u64::from(half) << 32,
        _ => value,
    }
}

/// Features may be chosen until they are agreed upon.
fn take_features(registers: &mut Registers, value: u32) {
    if registers.status == status::ACKNOWLEDGE | status::DRIVER {
        let Features(taken) = registers.driver_features;
        registers.driver_features = Features(with_half(taken, registers.driver_select, value));
    }
}

/// Queues may be set up between the agreement and the driver's start. Anything else is ignored, and so is a register that
/// is not there.
fn set_up_queue(registers: &mut Registers, offset: u64, value: u32) {
    let agreed = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
    if registers.status != agreed {
        return;
    }
    let Some(queue) = registers.queue() else { return };
    let (address, base) = match offset {
        register::QUEUE_NUM => {
            // What has no 16 bits is no size of a queue, and 0 is none either.
            queue.size = u16::try_from(value).unwrap_or(0);
            return;
        }
        register::QUEUE_READY => {
            queue.ready = value == 1;
            return;
        }
        register::QUEUE_DESC | 0x084 => (&mut queue.descriptors, register::QUEUE_DESC),
        register::QUEUE_DRIVER | 0x094 => (&mut queue.driver, register::QUEUE_DRIVER),
        register::QUEUE_DEVICE | 0x0a4 => (&mut queue.device, register::QUEUE_DEVICE),
        _ => return,
    };
    *address = with_half(*address, u32::from(offset != base), value);
}

#[cfg(test)]
mod tests {
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
        for (features, agreed) in [
            (1 << 32, true),
            (1 << 32 | 1 << 5, true),
            (1 << 5, false),
            (0, false),
            (1 << 32 | 1 << 6, false),
        ] {
            let transport = with_features(features);
            assert_eq!(read(&transport, register::STATUS) == AGREED, agreed, "{features:#x}");
        }
    }

    #[test]
    fn a_driver_starts_in_order_and_may_leave_out_nothing() {
        let transport = Transport::new(IDENTITY, Configuration::new(Vec::new()));
        for too_early in [
            status::DRIVER,
            status::FEATURES_OK,
            status::DRIVER_OK,
            AGREED,
            status::ACKNOWLEDGE | status::DRIVER,
        ] {
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
        write(
            &transport,
            register::STATUS,
            AGREED | status::DRIVER_OK | status::NEEDS_RESET | status::FAILED,
        );
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
}
