//! Buffers for random bytes.

use ringfence::devices::virtio::Limiter;
use ringfence::devices::virtio::rng::{AT_ONCE, Entropy, IDENTITY};

use super::clock;
use super::guest::Guest;
use super::input::Input;
use super::session::{self, Subject, Turn, contents};

/// What this source gives, which is nowhere else in memory by chance.
const RANDOM: u8 = 0xa5;

fn source(bytes: &mut [u8]) {
    assert!((1..=AT_ONCE).contains(&bytes.len()), "{} bytes at once", bytes.len());
    bytes.fill(RANDOM);
}

struct Source(Entropy);

impl Subject for Source {
    type Device = Entropy;

    fn device(&mut self) -> &mut Entropy {
        &mut self.0
    }

    fn after(&mut self, turn: &Turn, guest: &Guest) {
        for (length, chain) in &turn.used {
            let filled = contents(guest, &chain.writable, *length as usize);
            assert!(filled.iter().all(|byte| *byte == RANDOM), "as many are filled as the length says");
        }
    }
}

/// What a driver asks of the entropy device.
pub fn rng(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let limiter = Limiter::new(&clock::limits(&mut input), clock::now);
    session::run(&mut Source(Entropy::new(source, limiter)), &IDENTITY, &mut input)
}
