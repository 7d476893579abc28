//! What a benchmark found, in Markdown, between marks by which `benches/record` finds it again.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter};

use ringfence::bench::environment::Environment;

/// The findings of one benchmark, printed whole after everything that Criterion says.
#[derive(Clone, Debug)]
pub struct Report {
    benchmark: &'static str,
    paragraphs: Vec<String>,
}

impl Report {
    /// A report that says so far where it was made. `benchmark`: its name as Cargo knows it.
    pub fn new(benchmark: &'static str) -> Self {
        Self { benchmark, paragraphs: vec![format!("{}.", Environment::here().line())] }
    }

    /// Adds a paragraph or a table.
    pub fn add(&mut self, paragraph: impl Display) {
        self.paragraphs.push(paragraph.to_string().trim_end().to_owned());
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { benchmark, paragraphs } = self;
        writeln!(f, "<!-- begin {benchmark} -->")?;
        writeln!(f, "{}", paragraphs.join("\n\n"))?;
        writeln!(f, "<!-- end {benchmark} -->")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_stands_between_its_marks_with_a_line_between_paragraphs() {
        let mut report = Report::new("exit_path");
        report.add("| a |\n");
        report.add("one round");
        let text = report.to_string();
        assert!(text.starts_with("<!-- begin exit_path -->\n"), "{text}");
        assert!(text.ends_with(".\n\n| a |\n\none round\n<!-- end exit_path -->\n"), "{text}");
    }
}
