//! A console's two queues.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use ringfence::devices::virtio::console::{Console, IDENTITY, Line};

use super::guest::Guest;
use super::input::Input;
use super::session::{self, Subject, Turn, contents};

/// What a turn says at most.
const MOST_SAID: usize = 16 * 1024;

/// The other end: what was said in a turn, and what was typed and not taken.
#[derive(Debug, Default)]
struct Paper {
    said: Vec<u8>,
    room: usize,
    typed: VecDeque<u8>,
    taken: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Shared(Rc<RefCell<Paper>>);

impl Line for Shared {
    fn say(&mut self, bytes: &[u8]) -> usize {
        let mut paper = self.0.borrow_mut();
        let count = bytes.len().min(paper.room);
        paper.room -= count;
        paper.said.extend(&bytes[..count]);
        count
    }

    fn has_room(&self) -> bool {
        self.0.borrow().room > 0
    }

    fn typed(&mut self, bytes: &mut [u8]) -> usize {
        let mut paper = self.0.borrow_mut();
        let count = bytes.len().min(paper.typed.len());
        for place in &mut bytes[..count] {
            let byte = paper.typed.pop_front().expect("counted");
            *place = byte;
            paper.taken.push(byte);
        }
        count
    }

    fn has_input(&self) -> bool {
        !self.0.borrow().typed.is_empty()
    }
}

struct Terminal {
    device: Console<Shared>,
    paper: Rc<RefCell<Paper>>,
    /// Bytes of the first waiting chain that are said; nobody knows after a chain that may end sooner than it looks.
    said: Option<usize>,
    /// What the driver has to say before a turn: the start of each waiting chain, and how long that is.
    to_say: Option<Vec<(Vec<u8>, usize)>>,
}

impl Terminal {
    fn texts(&self, guest: &Guest) -> Option<Vec<(Vec<u8>, usize)>> {
        let said = self.said.filter(|_| guest.knows)?;
        let chains = guest.lines[1].waiting().iter().map(|head| guest.chain(1, *head));
        let chains = chains.map(|chain| (!chain.is_odd).then_some(chain.readable));
        let text = |ranges: Vec<std::ops::Range<u64>>| {
            let length: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            let start = contents(guest, &ranges, MOST_SAID + said);
            (start, usize::try_from(length).expect("64 bits"))
        };
        chains.map(|chain| chain.map(text)).collect()
    }

    /// What was said is what the chains hold, from where the last turn left off.
    fn assert_said(&mut self, texts: &[(Vec<u8>, usize)], used: usize) {
        let (paper, said) = (self.paper.borrow(), self.said.unwrap_or_default());
        let starts = std::iter::once(said).chain(std::iter::repeat(0));
        let text: Vec<u8> = texts
            .iter()
            .zip(starts.clone())
            .flat_map(|((text, _), from)| text.iter().skip(from))
            .copied()
            .collect();
        assert!(text.starts_with(&paper.said), "what is said is what the driver gave, once and in its order");
        let whole: usize =
            texts.iter().zip(starts).take(used).map(|((_, length), from)| length.saturating_sub(from)).sum();
        assert!(paper.said.len() >= whole, "a chain comes back when all of it is said");
        self.said = Some(paper.said.len() - whole + if used == 0 { said } else { 0 });
    }
}

impl Subject for Terminal {
    type Device = Console<Shared>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.device
    }

    /// Something is typed, or there is room again.
    fn event(&mut self, _guest: &mut Guest, input: &mut Input<'_>) {
        let mut paper = self.paper.borrow_mut();
        let count = input.short();
        if input.byte().is_multiple_of(2) {
            let first = input.byte();
            paper.typed.extend((0..count % 700).map(|at| first.wrapping_add(at.to_le_bytes()[0])));
        } else {
            paper.room += usize::from(count);
        }
    }

    fn before(&mut self, index: usize, guest: &Guest) {
        if index == 1 {
            self.to_say = self.texts(guest);
            self.said = self.said.filter(|_| self.to_say.is_some());
        }
        let mut paper = self.paper.borrow_mut();
        paper.said.clear();
        paper.taken.clear();
    }

    fn after(&mut self, turn: &Turn, guest: &Guest) {
        if let (Some(texts), Ok(_)) = (self.to_say.take(), &turn.outcome) {
            self.assert_said(&texts, turn.used.len());
        }
        let paper = self.paper.borrow();
        assert!(paper.said.len() <= MOST_SAID, "{} bytes in a turn", paper.said.len());
        if turn.outcome.is_err() {
            return;
        }
        if turn.index == 1 {
            assert!(paper.taken.is_empty(), "what is typed goes the other way");
            assert!(turn.used.iter().all(|(length, _)| *length == 0), "nothing is written into what is said");
        } else if !turn.used.is_empty() {
            assert!(paper.said.is_empty(), "what is said goes the other way");
            // Where one buffer does not lie over another, what was typed is there, in its order.
            let lengths: usize = turn.used.iter().map(|(length, _)| *length as usize).sum();
            assert_eq!(lengths, paper.taken.len(), "nothing that was typed is lost");
            if let Some((length, range)) = turn.lone(guest) {
                let written = contents(guest, &[range], length);
                assert_eq!(written, paper.taken, "what was typed is there");
            }
        }
    }

    fn stopped(&mut self) {
        self.said = Some(0);
    }
}

/// What a driver and a user do with a console.
pub fn console(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let line = Shared::default();
    line.0.borrow_mut().room = input.short().into();
    let mut subject =
        Terminal { paper: Rc::clone(&line.0), device: Console::new(line), said: Some(0), to_say: None };
    session::run(&mut subject, &IDENTITY, &mut input)
}
