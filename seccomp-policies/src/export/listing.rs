//! A program as text: for people, for C, for Rust, for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::bpf::{Line, Program, disassemble};
use crate::language::Policy;

/// Version of the shape of [`Listing`] as JSON; it changes when a member changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// A program and what it was made of.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    report: &'static str,
    schema: u32,
    role: String,
    arch: &'static str,
    backend: &'static str,
    otherwise: String,
    instructions: Vec<Line>,
}

impl Listing {
    /// A policy's program; `backend` is the name of what made it.
    pub fn new(policy: &Policy, backend: &'static str, program: &Program) -> Self {
        Self {
            report: "program",
            schema: SCHEMA,
            role: policy.role.clone(),
            arch: policy.arch.name(),
            backend,
            otherwise: policy.otherwise.to_string(),
            instructions: disassemble(program.instructions(), policy.arch),
        }
    }

    fn heading(&self) -> String {
        let Self { role, arch, backend, otherwise, instructions, .. } = self;
        let count = instructions.len();
        format!("role {role} on {arch}, {backend} backend, otherwise {otherwise}: {count} instructions")
    }

    /// A line for each instruction, with names.
    pub fn text(&self) -> String {
        let mut text = format!("; {}\n", self.heading());
        for line in &self.instructions {
            line_to(&mut text, format_args!("{line}"));
        }
        text
    }

    /// One object with every instruction, its text and its names.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The elements of a C array of `struct sock_filter`.
    pub fn initializer(&self) -> String {
        let mut text = format!("/* {} */\n", self.heading());
        self.elements_to(&mut text, "");
        text
    }

    /// A C header with the program as an array named after the role, and its length beside it.
    pub fn header(&self) -> String {
        let (role, count) = (self.role.to_lowercase(), self.instructions.len());
        let guard = format!("{}_FILTER_H", self.role.to_uppercase());
        let mut text = format!(
            "/* {} */\n#ifndef {guard}\n#define {guard}\n\n#include <linux/filter.h>\n\n#define {}_FILTER_LENGTH {count}\n\n\
             static const struct sock_filter {role}_filter[{count}] = {{\n",
            self.heading(),
            self.role.to_uppercase()
        );
        self.elements_to(&mut text, "    ");
        text.push_str("};\n\n#endif\n");
        text
    }

    /// A Rust constant named after the role, of the `libc` crate's `sock_filter`.
    pub fn rust(&self) -> String {
        let (role, count) = (self.role.to_uppercase(), self.instructions.len());
        let mut text = format!(
            "/// {}.\n#[rustfmt::skip]\npub static {role}_FILTER: [libc::sock_filter; {count}] = [\n",
            self.heading()
        );
        for Line { code, jt, jf, k, text: meaning, .. } in &self.instructions {
            line_to(
                &mut text,
                format_args!(
                    "    libc::sock_filter {{ code: {code:#04x}, jt: {jt}, jf: {jf}, k: {k:#010x} }}, // {meaning}"
                ),
            );
        }
        text.push_str("];\n");
        text
    }

    fn elements_to(&self, text: &mut String, indent: &str) {
        for Line { code, jt, jf, k, text: meaning, .. } in &self.instructions {
            line_to(text, format_args!("{indent}{{ {code:#04x}, {jt}, {jf}, {k:#010x} }}, /* {meaning} */"));
        }
    }
}

/// Writing to a string cannot fail.
fn line_to(text: &mut String, line: std::fmt::Arguments) {
    let _ = writeln!(text, "{line}");
}
