//! Turns the tables of system calls, `src/syscalls/*.tsv`, into static Rust tables.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for arch in ["x86_64", "aarch64"] {
        let table = format!("src/syscalls/{arch}.tsv");
        println!("cargo::rerun-if-changed={table}");
        let text = fs::read_to_string(&table).unwrap_or_else(|error| panic!("cannot read {table}: {error}"));
        let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(format!("{arch}.rs"));
        fs::write(&out, static_table(&table, &text)).expect("OUT_DIR can be written");
    }
}

/// A Rust expression, `&[Syscall { .. }, ..]`, ascending in the number.
fn static_table(file: &str, text: &str) -> String {
    let mut out = String::from("&[\n");
    let mut previous = None;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let row = syscall(line).unwrap_or_else(|| panic!("{file}:{}: not a row: {line}", index + 1));
        assert!(previous < Some(row.0), "{file}:{}: {} does not ascend", index + 1, row.0);
        previous = Some(row.0);
        out.push_str(&row.1);
    }
    out.push_str("]\n");
    out
}

/// One row as its number and a Rust struct expression.
fn syscall(line: &str) -> Option<(u32, String)> {
    let mut columns = line.split('\t');
    let number: u32 = columns.next()?.parse().ok()?;
    let name = columns.next()?;
    let mut row = format!("Syscall {{ number: {number}, name: {name:?}, arguments: &[");
    for argument in columns.next().unwrap_or_default().split_whitespace() {
        let mut parts = argument.splitn(3, ':');
        let (name, width, c_type) = (parts.next()?, parts.next()?, parts.next()?);
        let width = match width {
            "32" => "Width::Bits32",
            "64" => "Width::Bits64",
            _ => return None,
        };
        write!(row, "Argument {{ name: {name:?}, width: {width}, c_type: {c_type:?} }}, ").ok()?;
    }
    row.push_str("] },\n");
    Some((number, row))
}
