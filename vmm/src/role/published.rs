//! What io has counted of a device, where main can read it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::devices::virtio::{Counts, MOST_COUNTS};
use crate::observe::{Group, Value};

/// The counts of one device. Lives as long as the process; io alone stores here.
#[derive(Debug)]
pub struct Published {
    /// `block`, `net`, …, as metrics name it.
    subject: &'static str,
    /// Which of its kind.
    which: Option<String>,
    /// The thread that serves it.
    thread: String,
    /// What the device counts.
    names: &'static [&'static str],
    values: [AtomicU64; MOST_COUNTS],
    kicks: AtomicU64,
    broken: AtomicU64,
}

impl Published {
    /// Of a device that has not started. `names`: those of its module's `COUNTS`.
    pub fn new(
        subject: &'static str,
        which: Option<String>,
        thread: String,
        names: &'static [&'static str],
    ) -> &'static Self {
        Box::leak(Box::new(Self {
            subject,
            which,
            thread,
            names,
            values: [const { AtomicU64::new(0) }; MOST_COUNTS],
            kicks: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        }))
    }

    /// io: what the device has counted.
    pub fn publish(&self, counts: &Counts) {
        self.values.iter().zip(counts).for_each(|(value, count)| value.store(*count, Ordering::Relaxed));
    }

    /// io: the driver has kicked a queue.
    pub fn kicked(&self) {
        add(&self.kicks);
    }

    /// io: the driver broke a queue. True if main should hear of it: for the first, the second, the fourth time and so on, so that no
    /// driver fills a log.
    pub fn broke(&self) -> bool {
        add(&self.broken).is_power_of_two()
    }

    /// How often the driver broke a queue.
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// The thread that serves the device.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// As metrics name it: `block_root`.
    pub fn name(&self) -> String {
        match &self.which {
            Some(which) => format!("{}_{which}", self.subject),
            None => self.subject.to_owned(),
        }
    }

    /// All of it.
    pub fn group(&self) -> Group {
        let counts = self.names.iter().zip(&self.values).map(|(name, value)| (*name, value));
        let all = counts.chain([("queue_event_count", &self.kicks), ("event_fails", &self.broken)]);
        let group = Group::new(
            self.subject,
            all.map(|(name, value)| (name, Value::Count(value.load(Ordering::Relaxed)))),
        );
        match &self.which {
            Some(which) => group.of(which),
            None => group,
        }
    }
}

/// Stored by one thread alone, so no read-modify-write is needed. Gives the new count.
fn add(counter: &AtomicU64) -> u64 {
    let count = counter.load(Ordering::Relaxed) + 1;
    counter.store(count, Ordering::Relaxed);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_breaks_queues_is_told_of_ever_more_seldom() {
        let published = Published::new("block", Some("d".into()), "rf-io".into(), &["read_count"]);
        let told = (1..=1000).filter(|_| published.broke()).count();
        assert_eq!((told, published.broken()), (10, 1000));
        published.publish(&[7, 0, 0, 0, 0, 0, 0]);
        published.kicked();
        let counts = [("read_count", 7), ("queue_event_count", 1), ("event_fails", 1000)];
        let expected = counts.map(|(name, count)| (name.to_owned(), Value::Count(count)));
        assert_eq!(published.group().values, expected);
        assert_eq!(published.name(), "block_d");
    }
}
