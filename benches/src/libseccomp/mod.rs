//! Programs that libseccomp makes of policies, by a small C program that is compiled where its header is installed.
//!
//! In a process of its own, so that no build of the workspace needs the library.
#![forbid(unsafe_code)]

mod meaning;
mod rules;

pub use meaning::meaning;
pub use rules::{Rules, Tree};

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use seccomp_policies::bpf::{Instruction, Invalid, Program};
use seccomp_policies::language::Policy;
use tempfile::TempDir;

/// Names another C compiler than `cc`.
pub const VARIABLE: &str = "CC";

/// The C program: what it reads is said at its beginning.
const SOURCE: &str = include_str!("compile.c");

/// Why there is no program of libseccomp's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the C compiler nor the library is something that the workspace needs.
    #[error("{0}; Debian has it as `gcc` and `libseccomp-dev`")]
    Missing(String),
    /// There is a header, and yet the C program does not compile.
    #[error("the C program in front of libseccomp does not compile:\n{0}")]
    Compile(String),
    /// The system did not run it.
    #[error("cannot run {program}: {source}")]
    Run {
        /// What was to be run.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Libseccomp has no such rules.
    #[error(transparent)]
    Rules(#[from] rules::Error),
    /// Libseccomp refused them.
    #[error("libseccomp refused the rules: {0}")]
    Refused(String),
    /// The kernel would not take what it made.
    #[error("libseccomp made a program that the kernel refuses: {0}")]
    Invalid(#[from] Invalid),
}

/// Libseccomp, ready to compile.
#[derive(Debug)]
pub struct Libseccomp {
    folder: TempDir,
    version: String,
}

impl Libseccomp {
    /// Compiles the C program against the library of this machine.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no C compiler or no header, [`Error::Compile`] where it fails all the same.
    pub fn find() -> Result<Self, Error> {
        let compiler = env::var_os(VARIABLE).unwrap_or_else(|| OsString::from("cc"));
        let header = fed(Command::new(&compiler).args(["-E", "-x", "c", "-"]), "#include <seccomp.h>\n");
        match header {
            Err(source) => {
                return Err(Error::Missing(format!("`{}` does not run: {source}", compiler.display())));
            }
            Ok(output) if !output.status.success() => {
                return Err(Error::Missing("there is no `seccomp.h`".to_owned()));
            }
            Ok(_) => {}
        }
        let folder = TempDir::new().map_err(|source| run("a folder for it", source))?;
        let mut command = Command::new(&compiler);
        command
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-x", "c", "-", "-o"])
            .arg(program(folder.path()));
        command.arg("-lseccomp");
        let output = fed(&mut command, SOURCE).map_err(|source| run("the C compiler", source))?;
        if !output.status.success() {
            return Err(Error::Compile(said(&output)));
        }
        let version = fed(Command::new(program(folder.path())).arg("--version"), "");
        let version = version.map_err(|source| run("libseccomp", source))?.stdout;
        Ok(Self { folder, version: String::from_utf8_lossy(&version).trim().to_owned() })
    }

    /// The library's version, as in 2.5.4.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Compiles a policy.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn compile(&self, policy: &Policy, tree: Tree) -> Result<Program, Error> {
        self.compile_lines(&Rules::new(policy)?.lines(tree))
    }

    fn compile_lines(&self, lines: &str) -> Result<Program, Error> {
        let output = fed(&mut Command::new(program(self.folder.path())), lines);
        let output = output.map_err(|source| run("libseccomp", source))?;
        if !output.status.success() {
            return Err(Error::Refused(said(&output)));
        }
        Ok(Program::new(instructions(&output.stdout))?)
    }
}

fn program(folder: &Path) -> PathBuf {
    folder.join("compile")
}

fn run(program: &str, source: io::Error) -> Error {
    Error::Run { program: program.to_owned(), source }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

/// Runs a command on this input. None of them writes before it has read everything.
fn fed(command: &mut Command, input: &str) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // It has ended before the end of its input, and says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    child.wait_with_output()
}

/// `struct sock_filter`s in the machine's order of bytes.
fn instructions(bytes: &[u8]) -> Vec<Instruction> {
    let instruction = |bytes: &[u8; 8]| {
        let [code_0, code_1, jt, jf, k_0, k_1, k_2, k_3] = *bytes;
        Instruction {
            code: u16::from_ne_bytes([code_0, code_1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k_0, k_1, k_2, k_3]),
        }
    };
    bytes.as_chunks().0.iter().map(instruction).collect()
}

#[cfg(test)]
mod tests {
    use seccomp_policies::action::Action;
    use seccomp_policies::bpf::interpret;
    use seccomp_policies::call::Call;
    use seccomp_policies::language::check_sources;
    use seccomp_policies::prove::Decisions;
    use seccomp_policies::syscalls::Arch;

    use super::*;

    pub(super) fn checked(rules: &str) -> Policy {
        let text = format!("role measured\ntier filter\notherwise errno EPERM\n{rules}");
        let checked = check_sources("measured.policy", &[("measured.policy", &text)], Arch::X86_64);
        checked.unwrap_or_else(|findings| panic!("{findings}")).policy
    }

    /// Nothing where it is not installed, which is said.
    fn libseccomp() -> Option<Libseccomp> {
        match Libseccomp::find() {
            Ok(found) => Some(found),
            Err(error @ Error::Missing(_)) => {
                println!("not run: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn both_trees_decide_every_call_as_the_policy_does_but_those_of_x32() {
        let Some(libseccomp) = libseccomp() else { return };
        assert!(libseccomp.version().starts_with(|c: char| c.is_ascii_digit()), "{}", libseccomp.version());
        let policy = checked(
            "read: fd == 3 && count <= 64 -- widths
write: fd in {4, 5, 6, 7, 9} -- a range and a value
mmap: off < 0x300000000 && len != 5 && (addr & 0xf00000000) == 0x500000000 -- 64 bits
mmap: off >= 0x700000000 && len > 6 -- more of them
lseek: offset > 15 && offset < 18 || whence != 1 -- two of one argument, and an exception
openat: errno ENOENT if mode == 7 -- another action
exit_group: -- the end",
        );
        for tree in [Tree::Priority, Tree::Binary] {
            let program = libseccomp.compile(&policy, tree).unwrap_or_else(|error| panic!("{error}"));
            let decided = Decisions::of_program(program.instructions()).unwrap();
            let difference = meaning(&policy).difference(&decided);
            assert!(difference.is_none(), "{tree:?}: {}", difference.unwrap().text());
        }
    }

    #[test]
    fn a_line_that_is_not_understood_or_refused_is_named_and_no_program_comes_out() {
        let Some(libseccomp) = libseccomp() else { return };
        let refused = |lines: &str| match libseccomp.compile_lines(lines) {
            Err(Error::Refused(said)) => said,
            other => panic!("{lines}: {other:?}"),
        };
        let filter = "filter 0x50001 0x80000000 1\n";
        assert_eq!(refused(""), "line 0: standard input: no filter");
        assert_eq!(
            refused("rule 0x7fff0000 0\n"),
            "line 1: rule: neither the filter, once and first, nor a rule"
        );
        let with = |rule: &str| refused(&format!("{filter}{rule}\n"));
        assert_eq!(with("rule 0x7fff0000 0 6 eq 1 0"), "line 2: 6: not a number, or too large");
        assert_eq!(with("rule 0x7fff0000 0 0 is 1 0"), "line 2: is: no operator");
        assert_eq!(with("rule 0x7fff0000 0 0 eq 1"), "line 2: a number: the line ends before it");
        let twice = with("rule 0x7fff0000 0 0 gt 1 0 0 lt 5 0");
        assert!(twice.starts_with("line 2: seccomp_rule_add_exact_array: "), "{twice}");
    }

    #[test]
    fn a_program_that_comes_out_is_read_as_the_kernel_would() {
        let Some(libseccomp) = libseccomp() else { return };
        let program =
            libseccomp.compile_lines("filter 0x50001 0x80000000 1\nrule 0x7fff0000 1 0 eq 3 0\n").unwrap();
        let answer = |arguments| {
            let call =
                Call { number: 1, arch: Arch::X86_64.audit_value(), instruction_pointer: 0, arguments };
            interpret(program.instructions(), &call).unwrap().value
        };
        assert_eq!(answer([3, 0, 0, 0, 0, 0]), Action::Allow.to_return_value());
        assert_eq!(answer([3 | 1 << 32, 0, 0, 0, 0, 0]), Action::Errno(1).to_return_value());
    }
}
