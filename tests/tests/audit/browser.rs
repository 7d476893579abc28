//! The page, in a browser.

use std::process::Command;

use ringfence_tests::binary;
use ringfence_tests::browser::opened;

use super::can_see_filters;

/// Calls whose rows are shown.
fn shown(document: &str) -> Vec<&str> {
    let rows = document.split("<tr data-call=\"").skip(1);
    let row = |row: &'_ str| {
        let (call, rest) = row.split_once('"').expect("an attribute ends");
        let tag = rest.split_once('>').expect("a tag ends").0.to_owned();
        (call.to_owned(), tag)
    };
    let shown = rows.map(row).filter(|(_, tag)| !tag.contains("hidden"));
    shown
        .map(|(call, _)| {
            let at = document.find(&format!("<tr data-call=\"{call}\"")).expect("it was found there") + 15;
            &document[at..at + call.len()]
        })
        .collect()
}

#[test]
fn the_page_of_policies_opens_without_a_word_on_the_console_and_its_filters_filter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("policies.html");
    let written = Command::new(binary::ringfence())
        .args(["audit", "policies", "--html"])
        .arg(&page)
        .status()
        .expect("the binary can be started");
    assert!(written.success());
    let Some((whole, log)) = opened(&page, "") else { return };
    assert!(!log.contains("CONSOLE"), "{log}");
    let all = shown(&whole);
    assert!(all.len() > 30 && all.contains(&"ioctl"), "{all:?}");
    assert!(whole.contains(&format!("{0} of {0} calls", all.len())), "the filters are at work");

    let (of_vcpu, _) = opened(&page, "#roles=vcpu").expect("it was there before");
    assert_eq!(shown(&of_vcpu), ["futex", "ioctl", "rt_sigreturn", "write"]);
    let (conditional, _) = opened(&page, "#roles=vcpu&conditional=1").expect("it was there before");
    assert_eq!(shown(&conditional), ["futex", "ioctl", "write"]);
    let (differing, _) = opened(&page, "#roles=io,disk&differences=1").expect("it was there before");
    let differing = shown(&differing);
    assert!(differing.contains(&"getrandom") && !differing.contains(&"futex"), "{differing:?}");
    let (named, _) = opened(&page, "#call=epoll").expect("it was there before");
    assert_eq!(shown(&named), ["epoll_ctl", "epoll_pwait", "epoll_wait"]);

    // What is pressed is a button with words for those who do not see it, and every field has a label.
    for button in whole.split("<button ").skip(1) {
        let tag = button.split_once('>').expect("a tag ends").0;
        assert!(tag.contains("aria-label=\"") && tag.contains("popovertarget=\""), "{tag}");
        let (_, target) = tag.split_once("popovertarget=\"").expect("it was there");
        let target = target.split('"').next().expect("an attribute ends");
        assert!(whole.contains(&format!("popover=\"\" id=\"{target}\"")), "{target} is not there");
    }
    let labelled = whole.matches("<label>").count();
    assert_eq!(labelled, whole.matches("<input ").count());
}

#[test]
fn the_page_of_a_process_shows_its_threads_and_whether_they_are_attested() {
    if !can_see_filters() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("live.html");
    let mut run = ringfence_tests::run::guest(["spin", "--cmdline", "beat"]);
    run.wait_for("beat 1");
    let written = Command::new(binary::ringfence())
        .args(["audit", "live", &run.pid().to_string(), "--html"])
        .arg(&page)
        .status()
        .expect("the binary can be started");
    assert!(written.success());
    let Some((document, log)) = opened(&page, "") else { return };
    assert!(!log.contains("CONSOLE"), "{log}");
    assert!(document.contains("attested: every thread is held to what this build proved"), "{document}");
    for (thread, held_to) in [("rf-vcpu0", "vcpu: filter, trap"), ("rf-console", "console: strict mode")] {
        let row = document.split("<tr>").find(|row| row.starts_with(&format!("<th scope=\"row\">{thread}<")));
        assert!(row.is_some_and(|row| row.contains(held_to)), "{thread}");
    }
    assert!(shown(&document).contains(&"ioctl"), "and what they may call");
}

#[test]
fn the_page_of_what_was_learned_shows_how_often_each_call_was_made_and_both_policies() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (page, present) = (folder.path().join("learned.html"), folder.path().join("true.policy"));
    // `true` closes, maps and ends, and asks nobody who it is; it opens what no rule here lets it open.
    let rules = "close: -- done\nexit_group: -- the end\ngetuid: -- <i>who</i> asks\n";
    std::fs::write(&present, format!("role any\ntier filter\notherwise trap\n{rules}")).expect("it is ours");
    let written = Command::new(binary::ringfence())
        .args(["audit", "learn", "--by", "ptrace", "--output", "/dev/null", "--html"])
        .arg(&page)
        .arg("--against")
        .arg(&present)
        .args(["--", "true"])
        .status()
        .expect("the binary can be started");
    assert!(written.success());
    let Some((document, log)) = opened(&page, "") else { return };
    assert!(!log.contains("CONSOLE"), "{log}");
    let cell = |call: &str| {
        let start = document.find(&format!("<tr data-call=\"{call}\"><th")).expect("a row of the call");
        document[start..].split("</button>").next().expect("a button ends").to_owned()
    };
    assert!(cell("exit_group").contains("class=\"heat-1 used\""), "{}", cell("exit_group"));
    assert!(cell("exit_group").ends_with(">1"), "{}", cell("exit_group"));
    assert!(cell("getuid").contains("class=\"heat-0 unused\""), "{}", cell("getuid"));
    assert!(cell("openat").contains("beyond\""), "{}", cell("openat"));
    assert!(document.contains("1 of 3 rules of the present policies were not used."));
    assert!(document.contains("&lt;i&gt;who&lt;/i&gt; asks") && !document.contains("<i>"), "text is text");
    let (_, sides) = document.split_once("id=\"sides\"").expect("a section");
    let row = sides.split("<tr>").find(|row| row.contains(">exit_group</th>")).expect("a row of the call");
    assert!(row.contains("the end") && row.contains("seen once"), "{row}");
}
