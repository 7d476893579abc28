//! A whole run: processes one after the other, and what they found put together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::Error;
use super::environment::{Busy, Environment, Neighbours};
use super::experiment::{self, EXPERIMENTS, Experiment};
use super::findings::{Findings, Table, analysis};
use super::variant::Other;
use super::worker::{Found, Order, Worker};
use crate::observe::Utc;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Processes, one after the other.
    pub processes: u32,
    /// How long they take together, where everything is measured that this depth has.
    pub time: Duration,
    /// What takes long is left out, unless it is asked for by name.
    pub is_quick: bool,
}

/// Under 20 s in all, with as few processes as make an interval.
pub const QUICK: Depth = Depth { processes: 8, time: Duration::from_secs(14), is_quick: true };

/// Under three minutes in all.
pub const DEFAULT: Depth = Depth { processes: 12, time: Duration::from_secs(130), is_quick: false };

impl Depth {
    /// What is measured where nothing is asked for by name.
    pub fn experiments(self) -> impl Iterator<Item = &'static Experiment> {
        EXPERIMENTS.iter().filter(move |experiment| experiment.quick || !self.is_quick)
    }
}

/// What is to be measured.
pub struct Plan<'a> {
    /// How much.
    pub depth: Depth,
    /// What.
    pub experiments: Vec<&'static Experiment>,
    /// What is not measured, and why, for the warnings.
    pub left_out: Option<String>,
    /// Filters of other programs' policies.
    pub others: Vec<Other>,
    /// Told how far it is, in shares of the whole.
    pub progress: &'a dyn Fn(f64),
}

/// Measures.
///
/// # Errors
/// The first that a process has: what is left out of a run would be missed in the next.
pub fn run(plan: &Plan<'_>) -> Result<Findings, Error> {
    let (began, start) = (SystemTime::now(), Instant::now());
    let environment = Environment::here();
    let neighbours = Neighbours::watch();
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    let orders: Vec<Order> = plan.orders();
    let whole: u64 = orders.iter().flat_map(|order| &order.experiments).map(|(_, time)| time).sum();
    let mut done = 0;
    for order in &orders {
        let mut worker = Worker::start(order)?;
        let mut times = order.experiments.iter().map(|(_, time)| time);
        while let Some(one) = worker.found_next()? {
            found.entry(one.experiment.clone()).or_default().push(one);
            done += times.next().unwrap_or(&0);
            (plan.progress)(share(done, whole));
        }
    }
    let busy = neighbours.busy();
    let table = |experiment: &&Experiment| analysis::table(experiment, found.get(experiment.name)?);
    let tables: Vec<Table> = plan.experiments.iter().filter_map(table).collect();
    Ok(Findings {
        at: Utc(began).to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        warnings: plan.left_out.iter().cloned().chain(warnings(&environment, busy, &tables)).collect(),
        environment,
        busy,
        processes: plan.depth.processes as usize,
        seconds: start.elapsed().as_secs_f64(),
        tables,
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Plan<'_> {
    /// What each process is told, one after the other. Groups of experiments have processes of their own: the threads of one are no
    /// company for those of another. Of fewer experiments than all each gets the time that it would have had.
    fn orders(&self) -> Vec<Order> {
        let whole: u32 = self.depth.experiments().map(|experiment| experiment.share).sum();
        let unit = self.depth.time / self.depth.processes / whole.max(1);
        let mut orders = Vec::new();
        for process in 0..self.depth.processes {
            for group in self.experiments.chunk_by(|one, other| one.group() == other.group()) {
                let in_turn = group.iter().filter(|experiment| process.is_multiple_of(experiment.every));
                let experiments: Vec<_> = in_turn
                    .map(|experiment| {
                        let time = unit * experiment.share;
                        (experiment.name.to_owned(), u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
                    })
                    .collect();
                if !experiments.is_empty() {
                    orders.push(Order {
                        seed: u64::from(process),
                        is_quick: self.depth.is_quick,
                        experiments,
                        others: self.others.clone(),
                    });
                }
            }
        }
        orders
    }
}

/// Shares above which a person should know.
const MANY_OTHERS: f64 = 0.1;
const MUCH_STOLEN: f64 = 0.02;
const MUCH_SPREAD: f64 = 0.25;

fn warnings(environment: &Environment, busy: Busy, tables: &[Table]) -> Vec<String> {
    let mut warnings = Vec::new();
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    if busy.others > MANY_OTHERS {
        warnings.push(format!(
            "other processes used {} of the machine meanwhile: the intervals are wider for that",
            percent(busy.others)
        ));
    }
    if busy.stolen > MUCH_STOLEN {
        warnings.push(format!(
            "the machine that this one runs in kept {} of its processors' time",
            percent(busy.stolen)
        ));
    }
    if environment.processors < 2 {
        warnings.push("with one processor the threads wait for each other".to_owned());
    }
    // Where caches are cold that work is too, and takes as long as it happens to.
    let warm = tables.iter().filter(|table| table.name != experiment::COLD);
    let widest = warm.max_by(|one, other| one.speed.total_cmp(&other.speed));
    if let Some(table) = widest.filter(|table| table.speed > MUCH_SPREAD) {
        warnings.push(format!(
            "the processor's speed changed: the same work took {} longer at one time than at another ({})",
            percent(table.speed),
            table.name
        ));
    }
    warnings
}
