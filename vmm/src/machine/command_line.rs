//! The kernel's command line: what the user gave, verbatim, what a quirk of the host adds to it, and where devices are.
#![forbid(unsafe_code)]

use super::layout;
use super::quirk::Quirk;

/// Characters that an x86 Linux kernel takes: `COMMAND_LINE_SIZE` (2048, Linux arch/x86/include/asm/setup.h) without
/// its NUL. A bzImage says its own limit in `cmdline_size`.
pub const LINUX_LIMIT: usize = 2047;

/// Switches that let Linux run where ring 0 is emulated. The emulator lacks the instructions behind these features,
/// and the guest sees the host's CPUID whatever is set: SMAP (308), SMEP (295), POPCNT (151), CX16 (141), XSAVE (154),
/// numbered as in Linux arch/x86/include/asm/cpufeatures.h. The kernel then saves SSE state alone, so the C library of
/// the guest must not use more.
const EMULATED_RING0: [&str; 3] = [
    "clearcpuid=308,295,151,141,154",
    "mitigations=off",
    "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-AVX512VL,-ERMS,-XSAVE,-XSAVEC",
];

/// A command line that is ready for the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// What the guest gets, without the NUL.
    pub text: String,
    /// What the monitor added for a quirk to what the user gave, if anything.
    pub added: Option<String>,
}

/// Why a command line cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// Longer than the kernel reads.
    #[error("the command line has {length} characters{}, this kernel takes {limit}: shorten it", with(*added))]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// Of these, how many the monitor added.
        added: usize,
        /// What the kernel takes.
        limit: usize,
    },
    /// The kernel would read up to a NUL only.
    #[error("the command line has a NUL at character {at}: the kernel would not see what follows it")]
    Nul {
        /// Its place, from 0.
        at: usize,
    },
}

fn with(added: usize) -> String {
    if added == 0 {
        String::new()
    } else {
        format!(" ({added} of them added for this host's KVM and for devices)")
    }
}

impl CommandLine {
    /// Takes what the user gave and adds what `quirk` needs: `None` for guests that are not Linux.
    ///
    /// So many virtio devices are named too, as Linux' `drivers/virtio/virtio_mmio.c` has it.
    ///
    /// A switch that the user gave too is not added, so that the user's own value counts. What stands after a `--`
    /// belongs to init, so additions go before it.
    /// # Errors
    /// [`CommandLineError`]: longer than `limit` characters, or not a C string.
    pub fn new(
        given: &str,
        quirk: Option<Quirk>,
        devices: u8,
        limit: usize,
    ) -> Result<Self, CommandLineError> {
        if let Some(at) = given.find('\0') {
            return Err(CommandLineError::Nul { at });
        }
        let switches: &[&str] = match quirk {
            None => &[],
            Some(Quirk::EmulatedRing0) => &EMULATED_RING0,
        };
        let added: Vec<&str> = switches.iter().copied().filter(|switch| !gives(given, switch)).collect();
        let line = Self::joined(given, &added.join(" "));
        let devices: Vec<String> = (0..devices).map(device).collect();
        let line = Self { text: Self::joined(&line.text, &devices.join(" ")).text, ..line };
        if line.text.len() > limit {
            let length = line.text.len();
            return Err(CommandLineError::TooLong { length, added: length - given.len(), limit });
        }
        Ok(line)
    }

    fn joined(given: &str, added: &str) -> Self {
        if added.is_empty() {
            return Self { text: given.to_owned(), added: None };
        }
        let at = init_arguments(given).unwrap_or(given.len());
        let (before, after) = given.split_at(at);
        let lead = if before.is_empty() || before.ends_with(' ') { "" } else { " " };
        let tail = if after.is_empty() || after.starts_with(' ') { "" } else { " " };
        Self { text: format!("{before}{lead}{added}{tail}{after}"), added: Some(added.to_owned()) }
    }
}

/// The parameter that names a virtio device: bytes and address of its registers, and its interrupt line.
fn device(index: u8) -> String {
    let (size, irq) = (layout::VIRTIO_WINDOW, layout::VIRTIO_IRQ + u32::from(index));
    format!("virtio_mmio.device={size}@{:#x}:{irq}", layout::VIRTIO + size * u64::from(index))
}

/// Where the arguments of init begin: at a word that is just `--`.
fn init_arguments(given: &str) -> Option<usize> {
    given.match_indices("--").map(|(at, _)| at).find(|&at| {
        let before = given[..at].chars().next_back();
        let after = given[at + 2..].chars().next();
        before.is_none_or(|c| c == ' ') && after.is_none_or(|c| c == ' ')
    })
}

/// Whether the user already gave the same parameter (`name=…`).
fn gives(given: &str, switch: &str) -> bool {
    let name = switch.split_inclusive('=').next().unwrap_or(switch);
    given.split_whitespace().take_while(|word| *word != "--").any(|word| word.starts_with(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RING0: Option<Quirk> = Some(Quirk::EmulatedRing0);

    fn new(given: &str, quirk: Option<Quirk>) -> CommandLine {
        CommandLine::new(given, quirk, 0, LINUX_LIMIT).unwrap()
    }

    #[test]
    fn without_a_quirk_the_user_s_text_is_kept_to_the_byte() {
        let given = "  console=ttyS0\tquiet  -- \"a  b\" ";
        assert_eq!(new(given, None), CommandLine { text: given.to_owned(), added: None });
    }

    #[test]
    fn quirk_appends_its_switches_and_says_so() {
        let line = new("console=ttyS0", RING0);
        let added = line.added.unwrap();
        assert_eq!(line.text, format!("console=ttyS0 {added}"));
        assert_eq!(added, EMULATED_RING0.join(" "));
    }

    #[test]
    fn quirk_leaves_a_switch_alone_that_the_user_gave() {
        let line = new("mitigations=auto clearcpuid=308", RING0);
        assert_eq!(line.added.as_deref(), Some(EMULATED_RING0[2]));
        assert!(line.text.starts_with("mitigations=auto clearcpuid=308 "));
    }

    #[test]
    fn quirk_s_switches_do_not_become_arguments_of_init() {
        let line = new("quiet -- mitigations=off", RING0);
        let added = line.added.unwrap();
        assert_eq!(line.text, format!("quiet {added} -- mitigations=off"));
        assert_eq!(new("--", RING0).text, format!("{added} --"));
        assert_eq!(new("a--b c-- --d", RING0).text, format!("a--b c-- --d {added}"));
    }

    #[test]
    fn empty_command_line_gets_no_leading_space() {
        assert_eq!(new("", RING0).text, EMULATED_RING0.join(" "));
        assert_eq!(new("", None).text, "");
    }

    #[test]
    fn line_of_exactly_the_limit_is_taken_and_one_more_is_refused_with_both_numbers() {
        assert!(CommandLine::new(&"a".repeat(2047), None, 0, 2047).is_ok());
        let error = CommandLine::new(&"a".repeat(2048), None, 0, 2047).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the command line has 2048 characters, this kernel takes 2047: shorten it"
        );
    }

    #[test]
    fn line_made_too_long_by_the_quirk_says_how_much_of_it_was_added() {
        let error = CommandLine::new(&"a".repeat(2000), RING0, 0, 2047).unwrap_err();
        let added = EMULATED_RING0.join(" ").len() + 1;
        assert_eq!(error, CommandLineError::TooLong { length: 2000 + added, added, limit: 2047 });
        assert!(
            error
                .to_string()
                .contains(&format!("({added} of them added for this host's KVM and for devices)")),
            "{error}"
        );
    }

    #[test]
    fn devices_are_named_after_the_user_s_text_and_before_the_arguments_of_init() {
        let line = CommandLine::new("quiet -- 1", None, 2, LINUX_LIMIT).unwrap();
        assert_eq!(
            line.text,
            "quiet virtio_mmio.device=4096@0xc0001000:16 virtio_mmio.device=4096@0xc0002000:17 -- 1"
        );
        assert_eq!(line.added, None, "for the devices that the user asked for");
    }

    #[test]
    fn nul_in_the_line_is_refused_with_its_place() {
        assert_eq!(CommandLine::new("ab\0c", None, 0, 10), Err(CommandLineError::Nul { at: 2 }));
    }

    proptest! {
        #[test]
        fn whatever_the_user_gives_is_kept_verbatim_around_what_is_added(given in "[^\0]{0,80}( -- [a-z -]{0,20})?") {
            let line = new(&given, RING0);
            let added = line.added.expect("no generated line has all the switches");
            let (before, after) = line.text.split_once(&added).expect("what was added is there");
            // At most one space was put on either side of it.
            let befores = [Some(before), before.strip_suffix(' ')];
            let afters = [Some(after), after.strip_prefix(' ')];
            let kept = befores.iter().flatten().any(|before| {
                afters.iter().flatten().any(|after| given == format!("{before}{after}"))
            });
            prop_assert!(kept, "{:?}", line.text);
        }
    }
}
