//! The registers of a device, in every state, with the device's side of what they ask for.

use std::collections::BTreeMap;

use ringfence::devices::virtio::queue::Setting;
use ringfence::devices::virtio::register::{self, status};
use ringfence::devices::virtio::rng::Entropy;
use ringfence::devices::virtio::{
    Asked, Configuration, Device as _, Features, Identity, Limiter, Queue, Request, Transport,
};

use super::guest::{self, Guest};
use super::input::Input;

/// A device of three queues with a configuration space of which a driver may write a part.
const IDENTITY: Identity =
    Identity { device_type: 4, features: Features(Features::COMMON.0 | 0x25), queues: &[256, 16, 32768] };
const SPACE: usize = 12;

/// Registers that are written to most.
const OFFSETS: [u64; 20] = [
    register::STATUS,
    register::STATUS,
    register::STATUS,
    register::QUEUE_SEL,
    register::QUEUE_NUM,
    register::QUEUE_READY,
    register::QUEUE_DESC,
    register::QUEUE_DESC + 4,
    register::QUEUE_DRIVER,
    register::QUEUE_DRIVER + 4,
    register::QUEUE_DEVICE,
    register::QUEUE_DEVICE + 4,
    register::DEVICE_FEATURES_SEL,
    register::DRIVER_FEATURES_SEL,
    register::DRIVER_FEATURES,
    register::INTERRUPT_ACK,
    register::QUEUE_NOTIFY,
    register::CONFIG,
    register::CONFIG + 4,
    register::MAGIC_VALUE,
];

/// Values that mean something in one of them.
const VALUES: [u32; 20] =
    [0, 1, 2, 3, 4, 7, 8, 11, 15, 16, 17, 64, 79, 128, 255, 256, 32768, 0x1000, 0x1400, 0x1800];

struct Machine {
    transport: Transport,
    device: Entropy,
    guest: Guest,
    queues: BTreeMap<u16, Queue>,
    /// What the driver had set up when the device took it, while that is in use.
    running: Option<Vec<Option<Setting>>>,
    activated: bool,
}

impl Machine {
    fn new() -> Self {
        let space = Configuration::new((1..).take(SPACE).collect()).writable(4..8);
        Self {
            transport: Transport::new(IDENTITY, space),
            device: Entropy::new(|bytes| bytes.fill(3), Limiter::default()),
            guest: Guest::new(3),
            queues: BTreeMap::new(),
            running: None,
            activated: false,
        }
    }

    fn settings(&self) -> Vec<Option<Setting>> {
        (0..3).map(|index| self.transport.setting(index)).collect()
    }

    fn register(&self, offset: u64) -> u32 {
        let mut data = [0xff; 4];
        self.transport.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    /// Everything that can be read.
    fn state(&self) -> Vec<u32> {
        (0..0x120).step_by(4).map(|offset| self.register(offset)).collect()
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let (before, status_before) = (self.state(), self.register(register::STATUS));
        let (settings, agreed) = (self.settings(), self.transport.agreed());
        let pending = self.transport.unsettled().is_some();
        let asked = self.transport.write(offset, data);
        let status = self.register(register::STATUS);

        let is_register = offset < register::CONFIG;
        if is_register && (pending || data.len() != 4) {
            assert_eq!(asked, (data.len() == 4).then_some(Asked::Again), "nothing else before it is settled");
            assert_eq!((self.state(), self.settings()), (before, settings), "nothing has happened");
            return;
        }
        if !is_register {
            assert_eq!(asked, None);
            assert_eq!((self.settings(), status), (settings, status_before), "a space is no register");
            return;
        }
        let is_reset = offset == register::STATUS && data == [0; 4];
        if is_reset {
            assert_eq!((status, self.settings()), (0, vec![None; 3]), "a reset leaves nothing");
            assert_eq!(self.register(register::INTERRUPT_STATUS), 0);
        } else {
            assert_eq!(status & status_before, status_before, "bits of the status come and stay");
            assert_eq!((status ^ status_before) & status::NEEDS_RESET, 0, "that bit is the device's");
        }
        if status & status::FEATURES_OK != 0 {
            let taken = self.transport.agreed();
            assert!(IDENTITY.features.contain(taken) && taken.contain(Features::VERSION_1), "{taken:?}");
            assert!(status_before & status::FEATURES_OK == 0 || taken == agreed, "what is agreed upon stays");
        }
        let ordered = [status::ACKNOWLEDGE, status::DRIVER, status::FEATURES_OK, status::DRIVER_OK];
        for pair in ordered.windows(2) {
            assert!(status & pair[1] == 0 || status & pair[0] != 0, "{status:#x} is out of order");
        }
        if status & status::DRIVER_OK != 0 && status_before & status::DRIVER_OK != 0 {
            assert_eq!(self.settings(), settings, "queues that are in use are not set up anew");
        }
        let begins = status & status::DRIVER_OK != 0 && status_before & status::DRIVER_OK == 0;
        let ends = is_reset && status_before & status::DRIVER_OK != 0;
        assert_eq!(asked, (begins || ends).then_some(Asked::Settle));
        let expected = if begins { Some(Request::Activate) } else { ends.then_some(Request::Reset) };
        assert_eq!(self.transport.request(), expected);
    }

    /// The device's thread does what it is asked for.
    fn settle(&mut self) {
        let Some(request) = self.transport.request() else { return };
        self.queues.clear();
        self.running = None;
        self.device.stop();
        if request == Request::Activate {
            self.activate();
        }
        self.transport.settle(request);
        assert!(self.transport.unsettled().is_none());
    }

    fn activate(&mut self) {
        let features = self.transport.agreed();
        let mut broken = false;
        for (index, most) in (0..).zip(IDENTITY.queues) {
            let Some(setting) = self.transport.setting(index) else { continue };
            match Queue::new(&setting, *most, features, &self.guest.memory) {
                Ok(queue) => {
                    assert!(queue.size() <= *most && queue.size().is_power_of_two());
                    self.queues.insert(index, queue);
                }
                Err(_) => broken = true,
            }
        }
        self.activated = true;
        self.running = Some(self.settings());
        if broken {
            self.break_down();
        } else {
            self.device.start(features);
        }
    }

    fn break_down(&mut self) {
        self.queues.clear();
        self.device.stop();
        self.transport.need_reset();
        let needs = self.register(register::STATUS) & (status::NEEDS_RESET | status::DRIVER_OK);
        assert!(needs == 0 || needs == status::NEEDS_RESET | status::DRIVER_OK, "{needs:#x}");
        // A driver that has reset the device meanwhile needs no word.
        assert_eq!(needs == 0, self.transport.request() == Some(Request::Reset));
    }

    /// The device's turn at a queue.
    fn serve(&mut self, index: u16) {
        let Some(queue) = self.queues.get_mut(&index) else { return };
        match self.device.serve(index.into(), queue, &self.guest.memory) {
            Ok(processed) if processed.interrupt => {
                self.transport.used_buffers();
                assert_eq!(self.register(register::INTERRUPT_STATUS) & 1, 1);
            }
            Ok(_) => {}
            Err(_) => self.break_down(),
        }
    }

    /// All that a driver does to start, with queues that are in order but for what the input has differ.
    fn start(&mut self, input: &mut Input<'_>) {
        let word = |machine: &mut Self, offset, value: u32| machine.write(offset, &value.to_le_bytes());
        word(self, register::STATUS, 0);
        self.settle();
        self.guest.start(Features::VERSION_1);
        for bits in [1, 3] {
            word(self, register::STATUS, bits);
        }
        for (half, features) in [(0, input.word() & 0x3000_0025), (1, 1)] {
            word(self, register::DRIVER_FEATURES_SEL, half);
            word(self, register::DRIVER_FEATURES, features);
        }
        word(self, register::STATUS, 11);
        for index in 0..3 {
            let setting = self.guest.lines[usize::try_from(index).expect("small")].setting();
            word(self, register::QUEUE_SEL, index);
            let size = if input.byte() < 200 { 16 } else { u32::from(input.short()) };
            word(self, register::QUEUE_NUM, size);
            let places = [
                (register::QUEUE_DESC, setting.descriptors),
                (register::QUEUE_DRIVER, setting.driver),
                (register::QUEUE_DEVICE, setting.device),
            ];
            for (offset, place) in places {
                let place = if input.byte() < 230 { place } else { guest::address(input) };
                word(self, offset, u32::try_from(place & 0xffff_ffff).expect("half"));
                word(self, offset + 4, u32::try_from(place >> 32).expect("half"));
            }
            word(self, register::QUEUE_READY, u32::from(input.byte() < 240));
        }
        word(self, register::STATUS, 15);
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 10 {
            0..=2 => {
                let (offset, value) = (input.of(&OFFSETS), input.of(&VALUES));
                self.write(offset, &value.to_le_bytes());
            }
            3 => {
                let offset = u64::from(input.short() % 0x200);
                let data = input.bytes(usize::from(input_width(offset)));
                self.write(offset, data);
            }
            4 => {
                let width = input.of(&[1, 2, 4, 8]);
                let (offset, before) = (u64::from(input.short() % 0x200), self.state());
                let mut data = vec![0xee; width];
                self.transport.read(offset, &mut data);
                assert!(offset >= register::CONFIG || width == 4 || data.iter().all(|byte| *byte == 0xee));
                assert_eq!(self.state(), before, "reading changes nothing");
            }
            5 => self.start(input),
            6 => self.settle(),
            7 => self.serve((input.byte() % 3).into()),
            8 => {
                let line = usize::from(input.byte() % 3);
                let buffers = guest::buffers(&mut self.guest, input);
                self.guest.offer(line, &buffers);
            }
            _ => {
                let (at, count) = (guest::address(input), usize::from(input.byte() % 64));
                self.guest.write(at, input.bytes(count));
            }
        }
    }
}

/// A width that an access of a guest's has.
fn input_width(offset: u64) -> u8 {
    [4, 1, 2, 8][usize::try_from(offset % 4).expect("small")]
}

/// What a driver does with registers.
pub fn transport(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let mut machine = Machine::new();
    for _ in 0..300 {
        if input.is_over() {
            break;
        }
        machine.step(&mut input);
        if let Some(running) = &machine.running
            && machine.transport.unsettled().is_none()
        {
            assert_eq!(&machine.settings(), running, "queues stay as the device took them");
        }
    }
    machine.activated
}
