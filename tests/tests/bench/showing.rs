//! How findings are shown: those of an earlier run, which say the same each time.

use std::fs;
use std::path::{Path, PathBuf};

use ringfence_tests::browser::opened;
use ringfence_tests::schema::assert_documented;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{command, said, text};

fn estimate(low: f64, median: f64, high: f64) -> Value {
    json!({ "median": median, "low": low, "high": high })
}

fn row(name: &str, part: &str, value: f64, difference: Option<[f64; 3]>) -> Value {
    let difference = difference.map(|[low, median, high]| (low, median, high));
    json!({
        "name": name, "part": part, "instructions": if part == "subject" { json!(28) } else { Value::Null },
        "executed": if part == "subject" { json!(9.0) } else { Value::Null },
        "value": estimate(value - 1.0, value, value + 1.0),
        "difference": difference.map(|(low, median, high)| estimate(low, median, high)),
        "share": difference.map(|(low, median, high)| estimate(low / 1e4, median / 1e4, high / 1e4)),
        "blocks": 100, "far_out": 2,
    })
}

/// Findings of a run. `verdict`: whether the same twice came out as the same. `filter`: what the filter costs.
fn findings(verdict: &str, filter: [f64; 3]) -> Value {
    let is_sound = verdict == "sound";
    let subject = |values: [f64; 3]| is_sound.then_some(values);
    json!({
        "report": "bench", "schema": 1, "at": "2026-11-28T20:31:00.5", "version": "0.1.0",
        "environment": {
            "processor": "A <processor>", "processors": 2, "kernel": "6.18.0", "kvm": "kvm_amd, on the metal",
            "bpf_jit": "on", "seccomp_actions": "kill_process allow", "mitigations": ["spectre_v2: Retpolines"],
            "governor": "performance", "clock_source": "tsc", "clock_resolution_ns": 20.0,
            "clock_reading_ns": 25.0, "load": 0.5,
        },
        "busy": { "others": 0.004, "stolen": 0.0 }, "processes": 12, "seconds": 150.0, "warnings": [],
        "tables": [{
            "name": "exit/port", "title": "port exit", "call": "the guest writes to a port",
            "unit": "nanoseconds", "rounds": 4000,
            "verdict": { "is": verdict }, "migrated": 0.0, "speed": 0.05,
            "rows": [
                row("no filter", "baseline", 10000.0, None),
                row("no filter, again", "control", 10001.0, Some([if is_sound { -3.0 } else { 5.0 }, 7.0, 9.0])),
                row("no filter, with work", "planted", 10040.0, Some([38.0, 40.0, 42.0])),
                row("filter tier", "subject", 10090.0, subject(filter)),
                row("traced (ptrace)", "subject", 35000.0, subject([24000.0, 25000.0, 26000.0])),
            ],
            "pairs": if is_sound { json!([{
                "one": "filter tier", "other": "written by hand", "difference": estimate(-1.0, -0.5, 0.5),
                "ratio": estimate(0.98, 0.99, 1.01),
            }]) } else { json!([]) },
            "notes": ["something was left out"],
        }],
    })
}

struct Kept {
    folder: TempDir,
}

impl Kept {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keep(&self, name: &str, findings: &Value) -> String {
        fs::write(self.path(name), findings.to_string()).expect("the folder takes a file");
        utf8(&self.path(name))
    }
}

fn utf8(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_first_words_are_what_it_comes_to_and_all_fits_the_terminal() {
    let kept = Kept::new();
    let sound = kept.keep("sound.json", &findings("sound", [80.0, 90.0, 102.0]));
    for (columns, width) in [("80", 80), ("100", 100), ("300", 100)] {
        let output =
            command(&["--show", &sound]).env("COLUMNS", columns).output().expect("it can be started");
        let said = text(&output.stdout);
        let tables = said.lines().filter(|line| line.starts_with(' ') && !line.starts_with("  "));
        assert!(!said.lines().any(|line| line.starts_with("   ")), "no row goes on in the next line: {said}");
        let wide: Vec<_> = tables.filter(|line| line.chars().count() > width).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        assert!(
            said.starts_with("Filtering costs 90.0 ns \u{b1} 12.0 ns per exit here, 0.9 % of a port exit.\n"),
            "{said}"
        );
        let filter = said.lines().find(|line| line.starts_with(" filter tier")).expect("a row");
        let cells: Vec<_> = filter.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let expected = ["filter tier", "9", "10.09 us", "+90.0 ns", "+80.0 to +102.0 ns", "0.9 %"];
        assert_eq!(cells, expected, "{said}");
        assert!(said.contains("10 of 500 figures lie far out"), "{said}");
        assert!(
            said.contains("filter tier over written by hand: -0.5 ns (-1.0 to +0.5 ns), 0.99 of its cost"),
            "{said}"
        );
        assert!(said.contains("10 000 times 0.09 %"), "what a guest loses: {said}");
    }
}

#[test]
fn where_the_same_twice_differs_no_difference_is_shown_in_any_form() {
    let kept = Kept::new();
    let withheld = kept.keep("withheld.json", &findings("control_differs", [80.0, 90.0, 102.0]));
    let forms = ["html", "svg", "prom", "md"].map(|form| utf8(&kept.path(form)));
    let [html, svg, prometheus, markdown] = &forms;
    let said = said(
        0,
        &[
            "--show",
            &withheld,
            "--html",
            html,
            "--svg",
            svg,
            "--prometheus",
            prometheus,
            "--markdown",
            markdown,
        ],
    );
    let first = said.lines().next().expect("a sentence");
    assert!(
        first.starts_with(
            "What filtering costs cannot be said here: of two that are alike one took more by +7.0 ns"
        ),
        "{first}"
    );
    assert_eq!(said.lines().filter(|line| line.contains("withheld")).count(), 2, "{said}");
    let read = |path: &str| fs::read_to_string(path).expect("it is written");
    for form in [html, markdown] {
        assert!(read(form).contains("withheld") && !read(form).contains("+90.0 ns"), "{form}");
    }
    let figures = read(prometheus);
    assert!(!figures.contains("overhead_seconds{table=\"exit/port\",variant=\"filter tier\"}"), "{figures}");
    assert!(figures.contains("ringfence_bench_sound{table=\"exit/port\"} 0\n"), "{figures}");
    assert!(!read(svg).contains("filter tier"), "there is nothing to draw");
}

#[test]
fn what_the_exit_path_says_is_held_against_a_whole_run() {
    let kept = Kept::new();
    let words = [
        ([70.0, 110.0, 150.0], "for each exit, which agrees."),
        ([-20.0, 110.0, 240.0], "for each exit, which agrees, and would with nothing too."),
        ([110.0, 150.0, 190.0], "for each exit, which is something else."),
    ];
    for (of_run, expected) in words {
        let mut found = findings("sound", [80.0, 90.0, 102.0]);
        let mut run = findings("sound", of_run)["tables"][0].take();
        run["name"] = "run/exits".into();
        found["tables"].as_array_mut().expect("tables").push(run);
        let said = said(0, &["--show", &kept.keep("run.json", &found)]);
        let loss = said.lines().nth(1).expect("what a guest loses");
        assert!(loss.contains("100 000 times 0.9 %.") && loss.ends_with(expected), "{loss}");
    }
}

#[test]
fn memory_is_told_in_bytes() {
    let kept = Kept::new();
    let mut found = findings("sound", [4096.0, 7680.0, 9000.0]);
    found["tables"][0]["unit"] = "bytes".into();
    found["tables"][0]["name"] = "confine/memory".into();
    let sound = kept.keep("sound.json", &found);
    let (figures, page) = (utf8(&kept.path("prom")), utf8(&kept.path("html")));
    let said = said(0, &["--show", &sound, "--prometheus", &figures, "--html", &page, "--compare", &sound]);
    let filter = said.lines().find(|line| line.starts_with(" filter tier")).expect("a row");
    assert!(filter.contains("+7.50 KiB") && filter.contains("+4.00 to +8.79 KiB"), "{filter}");
    assert!(!filter.contains("us") && !said.contains("a call"), "{said}");
    let read = |path: &str| fs::read_to_string(path).expect("it is written");
    assert!(read(&page).contains("+7.50 KiB"));
    let figures = read(&figures);
    let line = "ringfence_bench_overhead_bytes{table=\"confine/memory\",variant=\"filter tier\"} 7.68e3";
    assert!(figures.lines().any(|text| text == line), "{figures}");
    assert!(!figures.contains("_seconds"), "{figures}");
}

#[test]
fn figures_go_to_prometheus_in_seconds_and_to_documents_as_tables() {
    let kept = Kept::new();
    let sound = kept.keep("sound.json", &findings("sound", [80.0, 90.0, 102.0]));
    let (figures, document) = (utf8(&kept.path("prom")), utf8(&kept.path("md")));
    said(0, &["--show", &sound, "--prometheus", &figures, "--markdown", &document]);
    let figures = fs::read_to_string(figures).expect("it is written");
    let labels = "{table=\"exit/port\",variant=\"filter tier\"}";
    for (name, value) in [("", "9e-8"), ("_low", "8e-8"), ("_high", "1.02e-7")] {
        let line = format!("ringfence_bench_overhead{name}_seconds{labels} ");
        let found =
            figures.lines().find_map(|text| text.strip_prefix(&line)).unwrap_or_else(|| panic!("{figures}"));
        let (found, expected): (f64, f64) =
            (found.parse().expect("a number"), value.parse().expect("a number"));
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
    }
    for line in figures.lines().filter(|line| !line.starts_with('#')) {
        let (name, _) = line.split_once('{').expect("labels");
        assert!(figures.contains(&format!("# TYPE {name} gauge\n")), "{line}");
    }
    let document = fs::read_to_string(document).expect("it is written");
    assert!(document.contains("\n| filter tier          |"), "{document}");
    let widths: Vec<_> =
        document.lines().filter(|line| line.starts_with('|')).map(|line| line.chars().count()).collect();
    assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{document}");
}

#[test]
fn a_change_beyond_noise_is_told_and_fails_above_what_is_given() {
    let kept = Kept::new();
    let old = kept.keep("old.json", &findings("sound", [80.0, 90.0, 102.0]));
    let within = kept.keep("within.json", &findings("sound", [95.0, 100.0, 120.0]));
    let slower = kept.keep("slower.json", &findings("sound", [120.0, 126.0, 130.0]));
    let quicker = kept.keep("quicker.json", &findings("sound", [40.0, 45.0, 50.0]));
    let compared =
        |code, new: &str, above: &str| said(code, &["--show", new, "--compare", &old, "--fail-above", above]);
    let words = compared(0, &within, "1");
    assert!(words.contains("Nothing has changed beyond noise, of 2 rows in both runs."), "{words}");
    let words = compared(1, &slower, "30");
    let row = words.lines().find(|line| line.contains("exit/port") && line.contains("+40 %"));
    assert!(row.is_some_and(|row| row.contains("90.0 ns") && row.contains("126.0 ns")), "{words}");
    compared(0, &slower, "50");
    let words = compared(0, &quicker, "1");
    assert!(words.contains("-50 %") && words.contains("1 of 2 rows"), "{words}");
    let withheld = kept.keep("withheld.json", &findings("control_differs", [0.0; 3]));
    let words = compared(0, &withheld, "1");
    assert!(words.contains("of 0 rows in both runs"), "{words}");
}

#[test]
fn the_picture_takes_the_reader_s_colours_and_the_page_needs_nothing_else() {
    let kept = Kept::new();
    let sound = kept.keep("sound.json", &findings("sound", [80.0, 90.0, 102.0]));
    let (picture, page) = (utf8(&kept.path("svg")), utf8(&kept.path("html")));
    said(0, &["--show", &sound, "--svg", &picture, "--html", &page]);
    let picture = fs::read_to_string(picture).expect("it is written");
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"), "{picture}");
    assert!(picture.contains("prefers-color-scheme:dark") && picture.contains("filter tier"), "{picture}");
    assert!(!picture.contains("#010101"), "every text has the colour of the reader's choice");
    let page = fs::read_to_string(page).expect("it is written");
    assert!(
        page.contains("A &#60;processor&#62;") || page.contains("A &lt;processor&gt;"),
        "names are escaped"
    );
    assert!(!page.contains("src=") && !page.contains("href="), "nothing is fetched");
}

#[test]
fn what_is_kept_has_the_members_that_are_documented_and_no_other() {
    let kept = Kept::new();
    let mut planted = findings("planted_missed", [80.0, 90.0, 102.0]);
    planted["tables"][0]["verdict"] = json!({ "is": "planted_missed", "expected": estimate(39.0, 40.0, 41.0), "found": estimate(1.0, 2.0, 3.0) });
    planted["warnings"] = json!(["the machine was busy"]);
    let written =
        [("sound", findings("sound", [80.0, 90.0, 102.0])), ("planted", planted)].map(|(name, findings)| {
            let again = utf8(&kept.path("again.json"));
            let words = said(0, &["--show", &kept.keep(name, &findings), "--json", &again]);
            assert!(!words.is_empty());
            let again: Value =
                serde_json::from_str(&fs::read_to_string(again).expect("it is written")).expect("JSON");
            assert_eq!(again, findings, "what was read is what is written");
            again
        });
    assert_documented("bench", &[&written[0], &written[1]]);
}

#[test]
fn the_page_of_an_audit_has_what_the_tiers_cost() {
    let kept = Kept::new();
    let sound = kept.keep("sound.json", &findings("sound", [80.0, 90.0, 102.0]));
    let page = utf8(&kept.path("html"));
    let audit = |arguments: &[&str]| {
        let output = std::process::Command::new(ringfence_tests::binary::ringfence())
            .args(["audit", "policies"])
            .args(arguments)
            .output()
            .expect("the binary can be started");
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(audit(&["--html", &page, "--costs", &sound]), (Some(0), String::new()));
    let page = fs::read_to_string(page).expect("it is written");
    assert!(page.contains("What it costs") && page.contains("+90.0 ns"), "the filter tier's: {page}");
    assert!(page.contains("+80.0 to +102.0 ns"), "its interval: {page}");
    let (code, said) = audit(&["--html", "/dev/null", "--costs", "/nonexistent"]);
    assert!(code == Some(2) && said.contains("cannot read /nonexistent"), "{said}");
    assert_eq!(audit(&["--costs", &sound]).0, Some(2), "without a page there is no place for it");
}

#[test]
fn the_page_opens_in_a_browser_without_a_word_on_the_console() {
    let kept = Kept::new();
    let sound = kept.keep("sound.json", &findings("sound", [80.0, 90.0, 102.0]));
    let page = kept.path("page.html");
    said(0, &["--show", &sound, "--html", &utf8(&page)]);
    let Some((document, log)) = opened(&page, "") else { return };
    assert!(!log.contains("CONSOLE"), "{log}");
    for part in ["<h1>What confinement costs</h1>", "+80.0 to +102.0 ns", "role=\"img\"", "aria-label="] {
        assert!(document.contains(part), "{part}: {document}");
    }
    assert_eq!(document.matches("<circle").count(), 2, "a dot for each subject");
    assert!(
        document.contains("<html lang=\"en\">") && document.contains("<th scope=\"row\">filter tier</th>")
    );
}
