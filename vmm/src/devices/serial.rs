//! The first serial port: a 16550A at port 0x3f8, IRQ 4, behind a lock.
//!
//! Output goes to [`Output`]; input comes from [`Serial::feed`]. The device waits for nothing and rings nothing:
//! it says in [`Raised`] what its caller has to ring, after the lock has been given back.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial as Uart, Trigger};

use super::output::Output;
use super::panic_text::PanicText;

/// First port of COM1 (IBM PC; Linux `arch/x86/include/asm/serial.h`).
pub const BASE: u16 = 0x3f8;
/// Registers of a 16550.
pub const PORTS: u16 = 8;
/// Interrupt line of COM1.
pub const IRQ: u32 = 4;
/// Bytes of the receive FIFO of a 16550A: the most that [`Serial::feed`] takes at once.
pub const FIFO_BYTES: usize = 64;

/// Transmit and receive register, offset 0.
const DATA: u8 = 0;
/// Interrupt enable register; bit 0 asks for an interrupt when data is received.
const INTERRUPT_ENABLE: u8 = 1;
const RECEIVED_DATA: u8 = 1;
/// Line status register.
const LINE_STATUS: u8 = 5;
/// Line control register; bit 7 (DLAB) turns offset 0 into the baud rate divisor.
const LINE_CONTROL: u8 = 3;
const DIVISOR_LATCH: u8 = 0x80;
/// Modem control register; bit 4 is loopback.
const MODEM_CONTROL: u8 = 4;
const LOOPBACK: u8 = 0x10;

/// What the caller has to do after an access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// Raise IRQ 4 in the guest.
    pub interrupt: bool,
    /// Ring the console's bell: the output ring was empty and is not any more.
    pub output: bool,
    /// Ring io's bell: the guest can take input again and some is waiting, or its keyboard has said something
    /// ([`super::i8042::I8042::take_interrupt`]).
    pub input: bool,
}

/// The output ring is full; the access has not happened and is to be tried again when there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Remembers that the UART wants an interrupt; only looked at under the lock, so no order is needed.
#[derive(Debug, Default)]
struct Mark(AtomicBool);

impl Mark {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Trigger for Mark {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The UART's transmitter: the output ring, with an eye on what goes by.
#[derive(Debug)]
struct Transmitter {
    output: &'static Output,
    woke_console: bool,
    panic_text: PanicText,
}

impl io::Write for Transmitter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            self.panic_text.look(byte);
            self.woke_console |= self.output.push(byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A guest that reads the line status so often in a row, and writes nothing, waits for input without interrupts:
/// a transmitter that is always ready is asked once for each byte.
const POLLS_OF_A_LISTENER: u8 = 16;

/// The UART and what it does not keep itself.
#[derive(Debug)]
struct Port {
    uart: Uart<Mark, NoEvents, Transmitter>,
    interrupt_enable: u8,
    polls: u8,
    /// io has bytes that were not taken.
    input_waits: bool,
}

/// The serial port, shared by the vCPU threads and io.
#[derive(Debug)]
pub struct Serial {
    /// Held by a vCPU thread for one access, by io for one [`Serial::feed`]; neither waits while it holds it.
    port: Mutex<Port>,
    output: &'static Output,
    /// Outside the lock: main reads it, and may not wait for a thread that is parked inside.
    panic_shown: AtomicBool,
}

impl Serial {
    /// A serial port that writes to `output`.
    pub fn new(output: &'static Output) -> Self {
        let transmitter = Transmitter { output, woke_console: false, panic_text: PanicText::default() };
        let mut uart = Uart::new(Mark::default(), transmitter);
        // The receive buffer grows here once and for all: a vCPU thread, which may fill it in loopback mode, must
        // not allocate. Nothing is pending afterwards.
        let _ = uart.enqueue_raw_bytes(&[0; FIFO_BYTES]);
        for _ in 0..FIFO_BYTES {
            uart.read(DATA);
        }
        uart.interrupt_evt().take();
        let port = Port { uart, interrupt_enable: 0, polls: 0, input_waits: false };
        Self { port: Mutex::new(port), output, panic_shown: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Port> {
        // A thread that panicked inside is parked and the run is ending; its state is as good as it gets.
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest reads the register at `offset` (0 to 7).
    pub fn read(&self, offset: u8) -> (u8, Raised) {
        let mut port = self.lock();
        if offset == LINE_STATUS {
            port.polls = port.polls.saturating_add(1);
        }
        let value = port.uart.read(offset);
        (value, port.raised())
    }

    /// The guest writes the register at `offset` (0 to 7).
    ///
    /// # Errors
    /// [`Full`] when the byte would be output and the ring has no room: nothing has changed.
    pub fn write(&self, offset: u8, value: u8) -> Result<Raised, Full> {
        let mut port = self.lock();
        if offset == DATA && port.transmits() && !self.output.has_room() {
            return Err(Full);
        }
        if offset == INTERRUPT_ENABLE && !port.divisor_latched() {
            port.interrupt_enable = value;
        }
        port.polls = 0;
        // The transmitter never fails and neither does the trigger.
        let _ = port.uart.write(offset, value);
        if port.uart.writer().panic_text.seen() {
            self.panic_shown.store(true, Ordering::Relaxed);
        }
        Ok(port.raised())
    }

    /// Puts bytes that the guest says to another device into the same output, as many as there is room for, and says how
    /// many.
    pub fn print(&self, bytes: &[u8]) -> (usize, Raised) {
        let mut port = self.lock();
        let transmitter = port.uart.writer_mut();
        let mut said = 0;
        for byte in bytes {
            if !self.output.has_room() {
                break;
            }
            transmitter.panic_text.look(*byte);
            transmitter.woke_console |= self.output.push(*byte);
            said += 1;
        }
        if transmitter.panic_text.seen() {
            self.panic_shown.store(true, Ordering::Relaxed);
        }
        (said, Raised { output: std::mem::take(&mut transmitter.woke_console), ..Raised::default() })
    }

    /// Puts input into the receive FIFO and says how many bytes it took: up to [`FIFO_BYTES`], none while the guest
    /// does not listen or is in loopback.
    ///
    /// A driver empties the FIFO when it starts; bytes that came before it listens would be lost there. When the
    /// port took fewer than offered, the next [`Raised::input`] says when to try again.
    pub fn feed(&self, bytes: &[u8]) -> (usize, Raised) {
        let mut port = self.lock();
        let taken = if port.listens() { port.uart.enqueue_raw_bytes(bytes).unwrap_or(0) } else { 0 };
        port.input_waits = taken < bytes.len();
        let raised = Raised { interrupt: port.uart.interrupt_evt().take(), ..Raised::default() };
        (taken, raised)
    }

    /// Whether the console has shown the words of a Linux kernel panic.
    pub fn showed_panic(&self) -> bool {
        self.panic_shown.load(Ordering::Relaxed)
    }
}

impl Port {
    fn divisor_latched(&mut self) -> bool {
        self.uart.read(LINE_CONTROL) & DIVISOR_LATCH != 0
    }

    fn in_loopback(&mut self) -> bool {
        self.uart.read(MODEM_CONTROL) & LOOPBACK != 0
    }

    /// Whether a byte written to the data register leaves the port.
    fn transmits(&mut self) -> bool {
        !self.divisor_latched() && !self.in_loopback()
    }

    fn listens(&mut self) -> bool {
        let asks = self.interrupt_enable & RECEIVED_DATA != 0 || self.polls >= POLLS_OF_A_LISTENER;
        asks && !self.in_loopback()
    }

    fn raised(&mut self) -> Raised {
        let has_space = self.uart.fifo_capacity() == FIFO_BYTES;
        let input = self.input_waits && has_space && self.listens();
        if input {
            self.input_waits = false;
        }
        let output = std::mem::take(&mut self.uart.writer_mut().woke_console);
        Raised { interrupt: self.uart.interrupt_evt().take(), output, input }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::output::CAPACITY;

    fn serial() -> (Serial, &'static Output) {
        let output: &'static Output = Box::leak(Box::default());
        (Serial::new(output), output)
    }

    #[test]
    fn a_byte_written_is_output_and_rings_the_console_once() {
        let (serial, output) = serial();
        assert!(serial.write(DATA, b'a').unwrap().output);
        assert!(!serial.write(DATA, b'b').unwrap().output);
        let mut bytes = [0; 4];
        assert_eq!(output.peek(&mut bytes), 2);
        assert_eq!(&bytes[..2], b"ab");
    }

    #[test]
    fn a_full_ring_refuses_output_but_not_the_divisor_nor_loopback() {
        let (serial, output) = serial();
        for _ in 0..CAPACITY {
            serial.write(DATA, b'x').unwrap();
        }
        assert_eq!(serial.write(DATA, b'y'), Err(Full));
        serial.write(LINE_CONTROL, DIVISOR_LATCH).unwrap();
        assert!(serial.write(DATA, 1).is_ok());
        serial.write(LINE_CONTROL, 0).unwrap();
        serial.write(MODEM_CONTROL, LOOPBACK).unwrap();
        assert!(serial.write(DATA, b'z').is_ok());
        assert_eq!(output.waiting(), CAPACITY);
    }

    #[test]
    fn input_beyond_the_fifo_is_refused_and_asked_for_when_the_guest_has_read() {
        let (serial, _) = serial();
        serial.write(INTERRUPT_ENABLE, 1).unwrap();
        let (taken, raised) = serial.feed(&[7; FIFO_BYTES]);
        assert_eq!((taken, raised.interrupt), (FIFO_BYTES, true));
        assert_eq!(serial.feed(&[8]).0, 0);
        for read in 1..=FIFO_BYTES {
            let (byte, raised) = serial.read(DATA);
            assert_eq!((byte, raised.input), (7, read == FIFO_BYTES));
        }
        assert_eq!(serial.read(LINE_STATUS).0 & 1, 0, "no data ready");
        assert_eq!(serial.feed(&[8]).0, 1);
    }

    #[test]
    fn input_that_waited_for_loopback_to_end_is_asked_for() {
        let (serial, _) = serial();
        serial.write(INTERRUPT_ENABLE, RECEIVED_DATA).unwrap();
        serial.write(MODEM_CONTROL, LOOPBACK).unwrap();
        assert_eq!(serial.feed(b"x").0, 0);
        assert!(serial.write(MODEM_CONTROL, 0).unwrap().input);
    }

    #[test]
    fn input_waits_until_the_guest_listens_by_interrupt() {
        let (serial, _) = serial();
        assert_eq!(serial.feed(b"x").0, 0);
        serial.write(DATA, b'!').unwrap();
        serial.read(DATA);
        assert!(serial.write(INTERRUPT_ENABLE, RECEIVED_DATA).unwrap().input);
        assert_eq!(serial.feed(b"x").0, 1);
    }

    #[test]
    fn input_waits_until_the_guest_listens_by_polling() {
        let (serial, _) = serial();
        assert_eq!(serial.feed(b"x").0, 0);
        for poll in 1..=POLLS_OF_A_LISTENER {
            assert_eq!(serial.read(LINE_STATUS).1.input, poll == POLLS_OF_A_LISTENER);
        }
        assert_eq!(serial.feed(b"x").0, 1);
    }

    #[test]
    fn loopback_fills_the_receiver_without_a_byte_of_output() {
        let (serial, output) = serial();
        serial.write(MODEM_CONTROL, LOOPBACK).unwrap();
        for byte in 0..200u8 {
            assert!(!serial.write(DATA, byte).unwrap().output);
        }
        assert_eq!(output.waiting(), 0);
        assert_eq!(serial.read(DATA).0, 0);
        assert_eq!(serial.read(DATA).0, 1);
    }
}
