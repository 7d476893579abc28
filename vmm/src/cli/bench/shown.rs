//! Findings in words and numbers, before they are laid out: what the text, the page and the document have in common.

use super::figures::{Figures, TIME, percent};
use crate::bench::calls::history;
use crate::bench::exit_path::hold;
use crate::bench::experiment;
use crate::bench::findings::{Findings, Pair, Row, Table, Verdict};
use crate::bench::method::statistics::Estimate;
use crate::bench::variant::Part;

/// A table.
pub(super) struct Shown<'a> {
    pub(super) table: &'a Table,
    /// What heads its columns.
    pub(super) header: Vec<&'static str>,
    /// Its rows, each as long as the header: a name, and figures.
    pub(super) rows: Vec<Vec<String>>,
    /// What is to be said beneath it.
    pub(super) lines: Vec<String>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(table: &'a Table) -> Self {
        let (columns, figures) = (Columns::of(table), Figures(table.unit));
        let mut header = vec!["variant"];
        header.extend(columns.executed.then_some("BPF"));
        header.extend([figures.header(), "more", "99 % interval"]);
        header.extend(columns.share.then_some("share"));
        let rows = table.rows.iter().map(|row| of_row(row, columns, figures)).collect();
        let mut lines: Vec<String> = table.pairs.iter().map(|pair| of_pair(pair, figures)).collect();
        if !table.is_sound() {
            let head = if let Verdict::Blurred { .. } = table.verdict { "Blurred" } else { "Withheld" };
            lines.push(format!("{head}: {}.", why_withheld(table)));
        }
        if table.name == history::NAME {
            lines.extend(history::SAYS.map(|(way, says)| format!("{way} can say {says}.")));
        }
        lines.extend(table.notes.iter().map(|note| format!("{note}.")));
        lines.push(amount(table));
        Self { table, header, rows, lines }
    }
}

fn amount(table: &Table) -> String {
    let far: usize = table.rows.iter().map(|row| row.far_out).sum();
    let blocks: usize = table.rows.iter().map(|row| row.blocks).sum();
    let moved = match table.migrated {
        0.0 => String::new(),
        share => format!("; {} of the blocks moved to another processor", percent(share)),
    };
    format!("{}: {} rounds; {far} of {blocks} figures lie far out{moved}.", table.name, table.rounds)
}

/// The columns that a table has something for.
#[derive(Clone, Copy)]
struct Columns {
    executed: bool,
    /// A share of nothing is none.
    share: bool,
}

impl Columns {
    fn of(table: &Table) -> Self {
        Self { executed: table.rows.iter().any(|row| row.executed.is_some()), share: table.has_share() }
    }
}

fn of_row(row: &Row, columns: Columns, figures: Figures) -> Vec<String> {
    let (difference, interval) = match (&row.difference, row.part) {
        (_, Part::Baseline) => (String::new(), String::new()),
        (None, _) => ("withheld".to_owned(), String::new()),
        (Some(difference), _) => (figures.signed(difference.median), figures.interval(difference)),
    };
    let mut cells = vec![row.name.clone()];
    if columns.executed {
        cells.push(row.executed.map_or_else(String::new, executed));
    }
    cells.extend([figures.of(row.value.median), difference, interval]);
    if columns.share {
        cells.push(row.share.as_ref().map_or_else(String::new, |share| percent(share.median)));
    }
    cells
}

fn of_pair(Pair { one, other, difference, ratio }: &Pair, figures: Figures) -> String {
    format!(
        "{one} over {other}: {} ({}), {:.2} of its cost ({:.2} to {:.2})",
        figures.signed(difference.median),
        figures.interval(difference),
        ratio.median,
        ratio.low,
        ratio.high
    )
}

/// What it comes to.
pub(super) fn sentence(findings: &Findings) -> String {
    let exits =
        [("exit/port", "a port exit"), ("exit/mmio", "an MMIO exit"), ("exit/refused", "a refused KVM_RUN")];
    let mut withheld = None;
    for (name, call) in exits {
        let Some(table) = findings.table(name) else { continue };
        let Some(row) = table.row(hold::FILTER) else { continue };
        match (&row.difference, &row.share) {
            (Some(difference), Some(_)) if difference.holds_zero() => {
                return format!(
                    "Filtering costs less than can be seen here: at most {} of {call}.",
                    TIME.of(difference.high)
                );
            }
            (Some(difference), Some(share)) => {
                return format!(
                    "Filtering costs {} per exit here, {} of {call}.",
                    of(difference),
                    percent(share.median)
                );
            }
            _ => withheld = withheld.or(Some(table)),
        }
    }
    match withheld {
        Some(table) => format!("What filtering costs cannot be said here: {}.", why_withheld(table)),
        None => "What filtering costs an exit was not measured.".to_owned(),
    }
}

/// What something costs: with what it may be off to either side, or where that is more than half of it with the interval.
fn of(cost: &Estimate) -> String {
    let off = cost.half_width();
    if off > cost.median / 2.0 {
        return format!("{} ({})", TIME.of(cost.median), TIME.interval(cost));
    }
    format!("{} \u{b1} {}", TIME.of(cost.median), TIME.of(off))
}

/// Exits of a second, for which it is said what a guest loses.
const EXITS_A_SECOND: [f64; 3] = [1e3, 1e4, 1e5];

/// What a guest loses that leaves so often: computed from the exit path, and held against a run that does it.
pub(super) fn loss(findings: &Findings) -> Option<String> {
    let cost = |table: &str| findings.table(table)?.row(hold::FILTER)?.difference;
    let exit = cost("exit/port")?;
    let shares = EXITS_A_SECOND.map(|exits| percent(exit.median / 1e9 * exits));
    let [thousand, ten, hundred] = shares;
    let computed = format!(
        "A guest that leaves 1 000 times a second loses {thousand} of its time by filtering, 10 000 times {ten}, 100 000 times \
         {hundred}"
    );
    let Some(run) = cost("run/exits") else { return Some(format!("{computed}.")) };
    let overlap = run.low <= exit.high && exit.low <= run.high;
    let checked = match overlap {
        false => "which is something else",
        true if run.holds_zero() => "which agrees, and would with nothing too",
        true => "which agrees",
    };
    Some(format!(
        "{computed}. A whole run says {} ({}) for each exit, {checked}.",
        TIME.signed(run.median),
        TIME.interval(&run)
    ))
}

/// Why a table's differences are not shown.
fn why_withheld(table: &Table) -> String {
    let figures = Figures(table.unit);
    match &table.verdict {
        Verdict::Sound => "nothing is".to_owned(),
        Verdict::ControlDiffers => {
            let control = table.rows.iter().find(|row| row.part == Part::Control);
            let difference = control.and_then(|row| row.difference);
            let by = difference.map_or_else(String::new, |found| {
                format!(" by {} ({})", figures.signed(found.median), figures.interval(&found))
            });
            format!("of two that are alike one took more{by}; try again when the machine does less")
        }
        Verdict::Blurred { expected, found } => format!(
            "what takes {} cannot be told from nothing ({}), and what takes as little is withheld; try again when the machine \
             does less",
            figures.of(expected.median),
            figures.interval(found)
        ),
        Verdict::PlantedMissed { expected, found } => format!(
            "what takes {} seemed to take {} ({}); try again when the machine does less",
            figures.of(expected.median),
            figures.of(found.median),
            figures.interval(found)
        ),
    }
}

/// The machine, in lines.
pub(in crate::cli) fn machine(findings: &Findings) -> Vec<String> {
    let Findings { environment, busy, processes, seconds, at, .. } = findings;
    let minute: String = at.chars().take("2026-11-28T14:30".len()).collect();
    // Of each the name; JSON and the page have what the kernel does about it.
    let flaws: Vec<&str> =
        environment.mitigations.iter().filter_map(|flaw| Some(flaw.split_once(':')?.0)).collect();
    vec![
        format!("{}.", environment.line()),
        format!(
            "KVM {}; clock {}, steps of {}; load {:.2} before, others used {} of the machine meanwhile.",
            environment.kvm,
            environment.clock_source,
            TIME.of(environment.clock_resolution_ns),
            environment.load,
            percent(busy.others),
        ),
        format!(
            "Mitigations of {}; seccomp answers {}; governor {}.",
            if flaws.is_empty() { "nothing".to_owned() } else { flaws.join(", ") },
            environment.seccomp_actions,
            environment.governor
        ),
        format!("{} UTC, {processes} processes in {seconds:.0} s.", minute.replace('T', " ")),
    ]
}

/// The table of what there is.
pub(super) fn catalogue() -> impl Iterator<Item = [&'static str; 3]> {
    experiment::EXPERIMENTS.iter().map(|one| [one.name, one.title, one.call])
}

/// A number of instructions; of several calls it is a mean.
fn executed(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count:.0}") } else { format!("{count:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_may_be_far_off_is_given_with_its_interval() {
        let cost = |high| of(&Estimate { median: 90.0, low: 80.0, high });
        assert_eq!(cost(102.0), "90.0 ns \u{b1} 12.0 ns");
        assert_eq!(cost(195.0), "90.0 ns (+80.0 to +195.0 ns)");
    }
}
