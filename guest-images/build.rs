//! Compiles and links the guests of `bare/`: one ELF image for each `bare/*.c`, with everything in
//! `bare/runtime/`, and the two images of `boot_paths`.
//!
//! The images depend on the sources and the compiler alone: no debug information, no identification
//! strings, no dates, so the same compiler makes the same bytes anywhere.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

/// Freestanding code for a processor whose vector registers nobody has switched on.
const COMPILE: &[&str] = &[
    "-m64",
    "-std=gnu11",
    "-Os",
    "-g0",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-mgeneral-regs-only",
    "-mno-red-zone",
    "-mcmodel=small",
    "-fno-pic",
    "-fno-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-strict-aliasing",
    "-fcf-protection=none",
    "-fno-ident",
    "-ffunction-sections",
    "-fdata-sections",
];

/// What only GCC has to be told: that a loop is not to become a call of memset or memcpy, which are not
/// there.
const COMPILE_GNU: &[&str] = &["-fno-tree-loop-distribute-patterns"];

/// `-n` keeps sections together in the file instead of a page apart.
const LINK: &[&str] =
    &["-m64", "-static", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,--gc-sections", "-Wl,-n"];

/// The guest that the images of `boot_paths` hold.
const BOOT_PATH_GUEST: &str = "hello";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=bare");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let bare =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?).join("bare");
    let toolchain = Toolchain::find(bare.clone())?;

    let mut runtime = Vec::new();
    for source in sources(&bare.join("runtime"), &["c", "S"])? {
        runtime.push(toolchain.compile(&source)?);
    }
    for source in sources(&bare, &["c"])? {
        let object = toolchain.compile(&source)?;
        let name = stem(&source);
        toolchain.link(&format!("{name}.elf"), "link.ld", &[], &object, &runtime)?;
        if name == BOOT_PATH_GUEST {
            toolchain.link("linux64.elf", "link-linux64.ld", &[], &object, &runtime)?;
            toolchain.link("bzimage", "link-bzimage.ld", &["-Wl,--oformat=binary"], &object, &runtime)?;
        }
    }
    Ok(())
}

/// The C compiler, which also assembles and calls the linker.
struct Toolchain {
    compiler: cc::Tool,
    bare: PathBuf,
    out: PathBuf,
}

impl Toolchain {
    fn find(bare: PathBuf) -> Result<Self, Box<dyn Error>> {
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
        let compiler = cc::Build::new().no_default_flags(true).try_get_compiler().map_err(|error| {
            format!(
                "the bare-metal guests need a C compiler and none was found: {error}\n\
                 Install gcc or clang (Debian: apt-get install gcc), or name one in the variable CC."
            )
        })?;
        Ok(Self { compiler, bare, out })
    }

    /// Compiles one source file and returns the object file.
    fn compile(&self, source: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let place = source.strip_prefix(&self.bare)?;
        let object = self.out.join(format!("{}.o", place.display().to_string().replace('/', "-")));
        let mut command = self.compiler.to_command();
        command.args(COMPILE).arg("-I").arg(self.bare.join("runtime"));
        if self.compiler.is_like_gnu() {
            command.args(COMPILE_GNU);
        }
        command.arg("-c").arg(source).arg("-o").arg(&object);
        run(&mut command, &format!("compile {}", source.display()))?;
        Ok(object)
    }

    /// Links a guest's object and the runtime's to the image `name`.
    fn link(
        &self,
        name: &str,
        script: &str,
        flags: &[&str],
        guest: &Path,
        runtime: &[PathBuf],
    ) -> Result<(), Box<dyn Error>> {
        let mut command = self.compiler.to_command();
        command.args(LINK).args(flags).arg("-T").arg(self.bare.join(script));
        command.arg(guest).args(runtime).arg("-o").arg(self.out.join(name));
        run(&mut command, &format!("link the guest image {name}"))
    }
}

/// The files of a folder with one of these extensions, sorted, so that images come out the same everywhere.
fn sources(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let listing =
        fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    for entry in listing {
        let path = entry?.path();
        if path.extension().and_then(OsStr::to_str).is_some_and(|extension| extensions.contains(&extension)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn run(command: &mut Command, what: &str) -> Result<(), Box<dyn Error>> {
    let output = command.output().map_err(|error| {
        format!(
            "cannot {what}: {} does not start: {error}\n\
             Install gcc and binutils, or clang (Debian: apt-get install gcc), or name a compiler in CC.",
            command.get_program().display()
        )
    })?;
    if output.status.success() {
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            println!("cargo::warning={line}");
        }
        return Ok(());
    }
    Err(format!(
        "cannot {what} ({}):\n{}\n\
         The guests need a C compiler and linker for x86-64 (Debian: apt-get install gcc binutils).",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
