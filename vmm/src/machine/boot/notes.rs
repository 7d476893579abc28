//! ELF notes: the PVH entry, and the marks of Linux and of programs for it.
#![forbid(unsafe_code)]

/// `XEN_ELFNOTE_PHYS32_ENTRY` (Xen public/elfnote.h, Linux include/xen/interface/elfnote.h): the physical address at
/// which a PVH guest is entered, in 32-bit protected mode.
const PHYS32_ENTRY: u32 = 18;

/// `NT_GNU_ABI_TAG` (glibc elf.h; Linux Standard Base, "Note Section"): what a program asks of the system that it runs on.
const GNU_ABI_TAG: u32 = 1;

/// What the notes of a kernel say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Entry for the PVH protocol.
    pub pvh_entry: Option<u32>,
    /// Whether a note by the name "Linux" is there: every kernel since 4.19 has one (`LINUX_ELFNOTE_BUILD_SALT`,
    /// include/linux/build-salt.h), and PVH kernels for KVM exist since 5.0.
    pub linux: bool,
    /// Whether a C library has marked it as a program for Linux, also one that needs no interpreter.
    pub user_program: bool,
}

/// Why the notes of a kernel cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotesError {
    /// More than any kernel has.
    #[error("a note segment has {length} bytes")]
    TooLarge {
        /// `p_filesz`.
        length: u64,
    },
    /// Not a 32-bit address.
    #[error("the PVH entry (Xen note 18) is not a 32-bit address")]
    PvhEntry,
}

impl Notes {
    /// Adds what the note segment `bytes` says; `align` is its `p_align`.
    ///
    /// A note that does not fit ends the segment, as it does for readelf.
    /// # Errors
    /// [`NotesError::PvhEntry`].
    pub fn add(&mut self, bytes: &[u8], align: u64) -> Result<(), NotesError> {
        // The fields are padded to 4 bytes in all files but those whose segment says 8 (gABI, "Note Section").
        let align = if align == 8 { 8 } else { 4 };
        let mut rest = bytes;
        while let Some((note, after)) = Note::split_from(rest, align) {
            rest = after;
            match (note.name, note.kind) {
                (b"Xen\0", PHYS32_ENTRY) => self.pvh_entry = Some(entry_of(note.descriptor)?),
                (b"Linux\0", _) => self.linux = true,
                (b"GNU\0", GNU_ABI_TAG) => self.user_program = true,
                _ => {}
            }
        }
        Ok(())
    }
}

struct Note<'a> {
    name: &'a [u8],
    kind: u32,
    descriptor: &'a [u8],
}

impl<'a> Note<'a> {
    /// Takes the first note from `bytes` (`Elf64_Nhdr`: name size, descriptor size, type; then both, padded).
    fn split_from(bytes: &'a [u8], align: usize) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<12>()?;
        let field = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        let name_size = usize::try_from(field(0)).ok()?;
        let descriptor_size = usize::try_from(field(4)).ok()?;
        let name = rest.get(..name_size)?;
        // Padding counts from the start of the note, and the last note may leave its own out.
        let descriptor_at = (12 + name_size).next_multiple_of(align);
        let descriptor = bytes.get(descriptor_at..descriptor_at.checked_add(descriptor_size)?)?;
        let end = (descriptor_at + descriptor_size).next_multiple_of(align);
        Some((Self { name, kind: field(8), descriptor }, bytes.get(end..).unwrap_or_default()))
    }
}

/// The entry's address, which Linux stores in 8 bytes and others in 4.
fn entry_of(descriptor: &[u8]) -> Result<u32, NotesError> {
    let (low, high) = descriptor.split_first_chunk::<4>().ok_or(NotesError::PvhEntry)?;
    if high.iter().any(|byte| *byte != 0) {
        return Err(NotesError::PvhEntry);
    }
    Ok(u32::from_le_bytes(*low))
}

/// One note as an assembler would lay it out, for tests.
#[cfg(test)]
pub(crate) fn note(name: &[u8], kind: u32, descriptor: &[u8], align: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [name.len(), descriptor.len()] {
        bytes.extend(u32::try_from(field).unwrap().to_le_bytes());
    }
    bytes.extend(kind.to_le_bytes());
    for field in [name, descriptor] {
        bytes.extend(field);
        bytes.resize(bytes.len().next_multiple_of(align), 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(bytes: &[u8], align: u64) -> Result<Notes, NotesError> {
        let mut notes = Notes::default();
        notes.add(bytes, align).map(|()| notes)
    }

    #[test]
    fn pvh_entry_is_found_behind_other_notes_with_4_and_8_bytes() {
        for (descriptor, align) in [(&[0, 0, 0x10, 0][..], 4), (&[0, 0, 0x10, 0, 0, 0, 0, 0][..], 8)] {
            let mut bytes = note(b"GNU\0", 5, &[1, 2, 3, 4, 5], align);
            bytes.extend(note(b"Xen\0", 6, b"linux\0", align));
            bytes.extend(note(b"Xen\0", PHYS32_ENTRY, descriptor, align));
            assert_eq!(notes(&bytes, align as u64).unwrap().pvh_entry, Some(0x10_0000));
        }
    }

    #[test]
    fn second_note_segment_does_not_hide_the_entry_of_the_first() {
        let mut found = Notes::default();
        found.add(&note(b"Xen\0", PHYS32_ENTRY, &[0, 0, 0x10, 0], 4), 4).unwrap();
        found.add(&note(b"GNU\0", 5, &[0; 16], 8), 8).unwrap();
        assert_eq!(found.pvh_entry, Some(0x10_0000));
    }

    #[test]
    fn linux_is_known_by_its_own_note() {
        assert!(notes(&note(b"Linux\0", 0x100, b"\0", 4), 4).unwrap().linux);
        assert!(!notes(&note(b"Xen\0", PHYS32_ENTRY, &[0; 4], 4), 4).unwrap().linux);
    }

    #[test]
    fn a_program_is_known_by_the_mark_of_its_c_library() {
        // Linux, 3.2.0.
        let tag = [0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        assert!(notes(&note(b"GNU\0", GNU_ABI_TAG, &tag, 4), 4).unwrap().user_program);
        // What a linker adds to kernels too: a build id, and properties.
        for kind in [3, 5] {
            assert!(!notes(&note(b"GNU\0", kind, &[0; 16], 4), 4).unwrap().user_program);
        }
    }

    #[test]
    fn pvh_entry_of_three_bytes_or_above_4_gib_is_refused() {
        for descriptor in [&[0, 0, 1][..], &[0, 0, 0, 0, 1, 0, 0, 0][..]] {
            assert_eq!(notes(&note(b"Xen\0", PHYS32_ENTRY, descriptor, 4), 4), Err(NotesError::PvhEntry));
        }
    }

    #[test]
    fn sizes_that_exceed_the_segment_end_it() {
        for sizes in [[u32::MAX, u32::MAX], [u32::MAX, 0], [0, u32::MAX], [13, 0]] {
            let mut bytes = note(b"Linux\0", 1, &[], 4);
            bytes.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
            bytes.extend([0; 16]);
            assert!(notes(&bytes, 4).unwrap().linux);
        }
    }
}
