//! What an audit finds, as a page that a person reads in a browser: one file, which needs nothing else.

use std::time::SystemTime;

use askama::Template;
use seccomp_policies::review::{Review, SharedSlot};
use seccomp_policies::syscalls::{self, Arch};

use super::costs::Costs;
use super::learn;
use super::live::row::Row;
use super::live::text;
use crate::audit::live::Audit;
use crate::observe::Utc;

/// The page.
#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    title: &'a str,
    version: &'static str,
    kernel: String,
    made: String,
    /// What is to be known before anything is pressed.
    glance: Vec<String>,
    review: &'a Review,
    /// There is more than one role.
    several: bool,
    slots: Vec<SharedSlot<'a>>,
    processes: Vec<ProcessRow<'a>>,
    learned: Option<&'a Learned>,
    costs: Option<&'a Costs>,
}

/// What was seen of threads, and the policies that were learned of it.
pub(super) struct Learned {
    pub(super) source: String,
    pub(super) roles: Vec<String>,
    pub(super) rows: Vec<learn::page::Row>,
    pub(super) sides: Vec<learn::page::Sides>,
}

/// A process, and what was found of it.
struct ProcessRow<'a> {
    pid: i32,
    name: &'a str,
    verdict: String,
    /// `good`, `bad` or nothing, where nobody has said how it should be.
    state: &'static str,
    rows: Vec<Row>,
    deviations: Vec<String>,
}

/// The page's text.
pub(super) fn page(
    title: &str,
    review: &Review,
    audits: &[Audit],
    learned: Option<&Learned>,
    costs: Option<&Costs>,
) -> String {
    let page = Page {
        title,
        version: env!("CARGO_PKG_VERSION"),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        made: minute(SystemTime::now()),
        glance: learned.map(used).into_iter().flatten().chain(glance(review)).collect(),
        review,
        several: review.roles.len() > 1,
        slots: review.slots(),
        processes: audits.iter().map(process).collect(),
        learned,
        costs,
    };
    page.render().expect("a template writes to memory")
}

/// A moment to the minute.
fn minute(time: SystemTime) -> String {
    Utc(time)
        .to_string()
        .chars()
        .take("2026-11-28T14:30".len())
        .map(|letter| if letter == 'T' { ' ' } else { letter })
        .collect()
}

fn glance(review: &Review) -> Vec<String> {
    let all = syscalls::all(Arch::X86_64).len();
    let (who, none) = match review.roles.as_slice() {
        [] => return Vec::new(),
        [_] => ("It may make".to_owned(), "It cannot"),
        roles => (format!("{} roles, which may make", roles.len()), "None can"),
    };
    let mut lines = vec![format!("{who} {} of the kernel's {all} calls.", review.calls.len())];
    let missing = review.abilities.iter().filter(|ability| !ability.together);
    let missing: Vec<&str> = missing.map(|ability| ability.ability).collect();
    if !missing.is_empty() {
        lines.push(format!("{none} {}.", list(&missing, "or")));
    }
    for ability in &review.abilities {
        let able = ability.by.iter().zip(&review.roles).filter(|(by, _)| by.is_some());
        let able: Vec<&str> = able.map(|(_, role)| role.role.as_str()).collect();
        // What few can is worth a sentence.
        if (1..=review.roles.len() / 2).contains(&able.len()) {
            let alone = if able.len() == 1 { " alone" } else { "" };
            lines.push(format!("{}{alone} can {}.", list(&able, "and"), ability.ability));
        }
    }
    lines
}

/// How far the present policies are used, in a few sentences.
fn used(learned: &Learned) -> Vec<String> {
    let mut lines = vec![format!("{}.", learned.source)];
    let rules = || learned.sides.iter().flat_map(|sides| &sides.rows).flat_map(|row| &row.present);
    if rules().next().is_some() {
        let unused = rules().filter(|rule| rule.count == 0).count();
        lines.push(match unused {
            0 => format!("Each of the {} rules of the present policies was used.", rules().count()),
            unused => format!("{unused} of {} rules of the present policies were not used.", rules().count()),
        });
    }
    let beyond = learned.rows.iter().flat_map(|row| &row.cells).filter(|cell| cell.state == "beyond").count();
    if beyond > 0 {
        lines.push(format!("{beyond} times a present policy does not allow what was seen."));
    }
    lines
}

/// Words joined as a sentence has them.
fn list(words: &[&str], last_by: &str) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} {last_by} {last}", first.join(", ")),
    }
}

fn process(audit: &Audit) -> ProcessRow<'_> {
    let deviations = audit.threads.iter().flat_map(|seen| {
        let thread = &seen.thread;
        seen.all_deviations().map(move |deviation| format!("{} ({}): {deviation}", thread.name, thread.tid))
    });
    let verdict = text::sentence(audit);
    let state = match &verdict {
        None => "",
        Some(_) if audit.is_attested() => "good",
        Some(_) => "bad",
    };
    ProcessRow {
        pid: audit.process.pid,
        name: &audit.process.name,
        verdict: verdict
            .unwrap_or_else(|| "nothing was expected of it: this is what it is held to".to_owned()),
        state,
        rows: audit.threads.iter().map(Row::new).collect(),
        deviations: deviations.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSS: &str = include_str!("../../../templates/audit.css");

    /// The colours of a theme by their names.
    fn colours(theme: &str) -> Vec<(&str, [f64; 3])> {
        let declarations = theme
            .split(';')
            .filter_map(|declaration| declaration.trim().strip_prefix("--")?.split_once(": #"));
        let channel =
            |text: &str, at: usize| f64::from(u8::from_str_radix(&text[at..at + 2], 16).unwrap()) / 255.0;
        declarations.map(|(name, text)| (name, [0, 2, 4].map(|at| channel(text, at)))).collect()
    }

    /// Relative luminance, Web Content Accessibility Guidelines 2.1.
    fn luminance(colour: [f64; 3]) -> f64 {
        let [red, green, blue] = colour
            .map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    #[test]
    fn words_stand_out_from_what_is_behind_them_in_both_themes() {
        let themes: Vec<&str> =
            CSS.split(":root {").skip(1).map(|rest| &rest[..rest.find('}').unwrap()]).collect();
        assert_eq!(themes.len(), 2, "light and dark");
        for theme in themes {
            let colours = colours(theme);
            let of = |name: &str| luminance(colours.iter().find(|colour| colour.0 == name).unwrap().1);
            for (words, behind) in [
                ("text", "page"),
                ("text", "head"),
                ("quiet", "page"),
                ("quiet", "head"),
                ("allowed-text", "allowed"),
                ("some-text", "some"),
                ("some-text", "page"),
                ("good", "page"),
                ("bad", "page"),
                ("text", "heat-1"),
                ("text", "heat-2"),
                ("text", "heat-3"),
                ("text", "heat-4"),
            ] {
                let (one, other) = (of(words), of(behind));
                let ratio = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(ratio >= 4.5, "{words} on {behind}: {ratio:.2}, and 4.5 is the least (level AA)");
            }
        }
    }

    #[test]
    fn a_page_is_one_file_and_shows_text_as_text() {
        let text = "role tool\ntier filter\notherwise trap\nread: fd == 0 -- <b>input</b> & more\n";
        let checked = seccomp_policies::language::check_sources("p", &[("p", text)], Arch::X86_64).unwrap();
        let page =
            page("<i>title</i>", &seccomp_policies::review::review(&[checked.policy]), &[], None, None);
        assert!(!page.contains("<b>") && !page.contains("<i>"), "{page}");
        assert!(page.contains("input"));
        for other in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(other), "{other} leads elsewhere");
        }
        assert!(page.contains("<html lang=\"en\">") && page.contains(":focus-visible"));
    }
}
