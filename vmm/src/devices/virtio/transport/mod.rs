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
mod tests;
