//! Findings as a page that a person reads in a browser: one file, which needs nothing else.

use askama::Template;

use super::plot;
use super::shown::{self, Shown};
use crate::bench::findings::Findings;

/// The page.
#[derive(Template)]
#[template(path = "bench.html")]
struct Page<'a> {
    version: &'a str,
    sentence: String,
    loss: Option<String>,
    warnings: &'a [String],
    plot: String,
    tables: Vec<Shown<'a>>,
    machine: Vec<String>,
    mitigations: &'a [String],
    seccomp_actions: &'a str,
    governor: &'a str,
}

/// The page's text.
pub(super) fn page(findings: &Findings) -> String {
    let page = Page {
        version: &findings.version,
        sentence: shown::sentence(findings),
        loss: shown::loss(findings),
        warnings: &findings.warnings,
        plot: plot::svg(findings, false),
        tables: findings.tables.iter().map(Shown::of).collect(),
        machine: shown::machine(findings),
        mitigations: &findings.environment.mitigations,
        seccomp_actions: &findings.environment.seccomp_actions,
        governor: &findings.environment.governor,
    };
    page.render().expect("a template writes to memory")
}
