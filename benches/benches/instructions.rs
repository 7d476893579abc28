//! What each compiler makes of the same policies, counted in instructions; and how long ours takes, proof included.
//!
//! Only programs that were proved to decide as their policy does are counted.

use std::hint::black_box;
use std::time::Instant;

use ringfence::bench::method::statistics::median;
use ringfence_benches::build_script::BuildScript;
use ringfence_benches::compilers::{Compiler, Outcome, outcomes};
use ringfence_benches::libseccomp::{self, Libseccomp};
use ringfence_benches::or_stop;
use ringfence_benches::policies::{self, Named};
use ringfence_benches::report::Report;
use ringfence_benches::table::{MILLISECONDS, Table};
use seccomp_policies::compile::optimize;
use seccomp_policies::prove::prove;

/// How often each time is taken, for its median.
const REPETITIONS: usize = 11;

fn main() {
    let mut report = Report::new("instructions");
    let mut notes = Vec::new();
    let policies = measured(&mut notes);
    let libseccomp = libseccomp(&mut notes);
    report.add(counted(&policies, libseccomp.as_ref(), &mut notes));
    for note in notes {
        report.add(note);
    }
    report.add(times(&policies));
    report.add(build_script());
    println!("{report}");
}

fn measured(notes: &mut Vec<String>) -> Vec<Named> {
    let mut policies = Vec::new();
    match policies::corpora() {
        Some(folder) => policies.extend(or_stop(policies::foreign(&folder))),
        None => notes.push(format!(
            "Policies of other projects were not here; `{}` may name their folder.",
            policies::VARIABLE
        )),
    }
    policies.extend(or_stop(policies::own()));
    policies
}

fn libseccomp(notes: &mut Vec<String>) -> Option<Libseccomp> {
    match Libseccomp::find() {
        Ok(found) => {
            notes.push(format!("Libseccomp {}.", found.version()));
            Some(found)
        }
        Err(error @ libseccomp::Error::Missing(_)) => {
            notes.push(format!("Libseccomp was not here: {error}."));
            None
        }
        Err(error) => or_stop(Err(error)),
    }
}

/// A row for each policy; what could not be counted is said in a note.
fn counted(policies: &[Named], libseccomp: Option<&Libseccomp>, notes: &mut Vec<String>) -> Table {
    let names = Compiler::ALL.map(Compiler::name);
    let head: Vec<_> =
        ["length / mean / longest"].into_iter().chain(names).chain(["left to the cache"]).collect();
    let mut table = Table::new(&head);
    for named in policies {
        let outcomes = outcomes(named, libseccomp);
        for (outcome, compiler) in outcomes.iter().zip(names) {
            if let Outcome::Differs(why) | Outcome::Refused(why) = outcome {
                notes.push(format!("{} by {compiler}: {why}.", named.name));
            }
        }
        let cached = match &outcomes[0] {
            Outcome::Counted(count) => format!("{} of {}", count.measure.cached, count.measure.allowed),
            other => other.to_string(),
        };
        let cells = outcomes.iter().map(ToString::to_string);
        table.row([named.name.to_owned()].into_iter().chain(cells).chain([cached]).collect());
    }
    table
}

/// How long the optimizing backend takes, alone and with the proof that every build makes of its program.
fn times(policies: &[Named]) -> Table {
    let mut table = Table::new(&["time", "compiled", "compiled and proved"]);
    for named in policies {
        let compile = || optimize(&named.policy, &named.weights()).unwrap_or_else(|error| panic!("{error}"));
        let compiled = nanoseconds(|| drop(black_box(compile())));
        let proved = nanoseconds(|| {
            prove(compile().instructions(), &named.policy).unwrap_or_else(|error| panic!("{error}"));
        });
        table.row(vec![named.name.to_owned(), MILLISECONDS.time(compiled), MILLISECONDS.time(proved)]);
    }
    table
}

fn build_script() -> String {
    let script = or_stop(BuildScript::find());
    let time = nanoseconds(|| {
        or_stop(script.run());
    });
    format!(
        "The monitor's build script takes {} in a release build, all of its policies and programs together. Each time is \
         the median of {REPETITIONS}.",
        MILLISECONDS.time(time)
    )
}

/// The median of several times.
#[expect(clippy::cast_precision_loss, reason = "what is timed takes far less than 2^52 ns")]
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let times: Vec<_> = (0..REPETITIONS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    median(&times).unwrap_or_default()
}
