//! What a driver gives a balloon.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::LazyLock;

use ringfence::devices::virtio::Features;
use ringfence::devices::virtio::balloon::{Balloon, PAGE, Pages, Properties, Statistics};
use vm_memory::{GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

use super::clock;
use super::guest::{self, Guest, WRITE};
use super::input::Input;
use super::session::{self, Subject, Turn, contents};

/// Features, virtio 1.2 section 5.5.3: each has a queue.
const STATISTICS: Features = Features(1 << 1);
const REPORTING: Features = Features(1 << 5);

/// The pages that were released in a turn, by their numbers.
#[derive(Clone, Debug, Default)]
struct Host(Rc<RefCell<Vec<u64>>>);

impl Pages for Host {
    fn release(&self, memory: &GuestMemoryMmap, start: GuestAddress, bytes: u64) -> bool {
        assert!(start.0.is_multiple_of(PAGE) && bytes.is_multiple_of(PAGE) && bytes > 0, "whole pages");
        // As the thread's own does it.
        let size = usize::try_from(bytes).expect("64 bits");
        if memory.get_slice(start, size).is_err() {
            return false;
        }
        self.0.borrow_mut().extend((start.0 / PAGE)..(start.0 + bytes) / PAGE);
        true
    }
}

struct Pressure {
    device: Balloon<Host>,
    released: Rc<RefCell<Vec<u64>>>,
    /// The queue that free pages are reported in, if one is agreed upon.
    reporting: usize,
    /// What the driver names in a turn; `None` where it does not know itself.
    named: Option<BTreeSet<u64>>,
}

impl Pressure {
    /// The numbers of the pages that the waiting chains of a queue name.
    fn names(index: usize, guest: &Guest) -> BTreeSet<u64> {
        let chains = guest.lines[index].waiting().iter().map(|head| guest.chain(index, *head));
        let pages = chains.map(|chain| -> Vec<u64> {
            if index == 0 {
                let bytes = contents(guest, &chain.readable, 80 * 1024);
                let numbers = bytes.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number).into());
                numbers.collect()
            } else {
                let whole = |range: std::ops::Range<u64>| {
                    range.start.div_ceil(PAGE)..(range.end / PAGE).min(range.start.div_ceil(PAGE) + 100)
                };
                chain.writable.into_iter().flat_map(whole).collect()
            }
        });
        pages.flatten().collect()
    }
}

impl Subject for Pressure {
    type Device = Balloon<Host>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.device
    }

    fn start(&mut self, features: Features) {
        let first = 2 + usize::from(features.contain(STATISTICS));
        self.reporting = if features.contain(REPORTING) { first } else { usize::MAX };
    }

    /// Pages as Linux names them, or statistics.
    fn event(&mut self, guest: &mut Guest, input: &mut Input<'_>) {
        let line = usize::from(input.byte()) % guest.lines.len();
        if !guest.has_room(line) {
            return;
        }
        let (at, count) = (guest::address(input), input.byte() % 40);
        if line == self.reporting {
            let start = u64::from(input.byte() % 16) * PAGE;
            guest.offer(line, &[(start, u32::from(count) * 1024, WRITE)]);
            return;
        }
        let bytes: Vec<u8> = if line < 2 {
            let numbers = (0..count).map(|_| u32::from(input.byte()) % 20);
            numbers.flat_map(u32::to_le_bytes).collect()
        } else {
            (0..count / 2).flat_map(|_| [&[input.byte() % 20, 0][..], &[input.byte(); 8]].concat()).collect()
        };
        guest.write(at, &bytes);
        guest.offer(line, &[(at, u32::try_from(bytes.len()).expect("small"), 0)]);
    }

    fn before(&mut self, index: usize, guest: &Guest) {
        self.released.borrow_mut().clear();
        let names = index == 0 || index == self.reporting;
        self.named = guest.knows.then(|| if names { Self::names(index, guest) } else { BTreeSet::new() });
    }

    fn after(&mut self, turn: &Turn, _guest: &Guest) {
        if let Some(named) = &self.named {
            let released = self.released.borrow();
            assert!(
                released.iter().all(|page| named.contains(page)),
                "queue {} released {released:?}, and its driver named {named:?}",
                turn.index
            );
        }
        assert!(turn.used.iter().all(|(length, _)| *length == 0), "a balloon writes nothing");
    }
}

/// What a driver does with a balloon.
pub fn balloon(bytes: &[u8]) -> bool {
    // Of the program's life as in the program; one for all inputs here.
    static TOLD: LazyLock<Statistics> = LazyLock::new(|| Statistics::new(1));
    let mut input = Input::new(bytes);
    let choice = input.byte();
    let (statistics, reporting) = (choice & 1 == 0, choice & 2 == 0);
    let properties = Properties { target: 5, deflate_on_oom: choice & 4 == 0, statistics, reporting };
    let host = Host::default();
    let mut subject = Pressure {
        released: Rc::clone(&host.0),
        device: Balloon::new(host, &TOLD, clock::now),
        reporting: usize::MAX,
        named: None,
    };
    session::run(&mut subject, &properties.identity(), &mut input)
}
