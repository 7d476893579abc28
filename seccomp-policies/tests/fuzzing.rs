//! The fuzz targets on their seeds, without a fuzzer: whatever the input is, nothing panics, and what must hold does.

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own where it is fuzzed")]
mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

/// Seeds are small: the fuzzer makes the large inputs.
const LARGEST: u64 = 2048;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The paths in a folder, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = read.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    paths
}

/// The stems of the files in a folder.
fn stems(folder: &Path) -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    entries(folder).iter().map(stem).collect()
}

#[test]
fn every_target_holds_on_its_seeds_and_takes_one_of_them() {
    for (name, target) in TARGETS {
        let mut taken = false;
        for seed in entries(&folder("seeds").join(name)) {
            let bytes = fs::read(&seed).expect("a seed can be read");
            let took = catch_unwind(|| target(&bytes)).ok();
            taken |= took.unwrap_or_else(|| panic!("the target {name} failed on {}", seed.display()));
        }
        assert!(taken, "every seed of {name} is refused, so that the fuzzer begins with nothing");
    }
}

/// What a fuzzer does first: ends, doubles, bytes changed. A few thousand inputs that are nearly good.
#[test]
fn every_target_holds_on_seeds_that_are_cut_and_spliced() {
    for (name, target) in TARGETS {
        let seeds: Vec<Vec<u8>> = entries(&folder("seeds").join(name))
            .iter()
            .map(|seed| fs::read(seed).expect("a seed can be read"))
            .collect();
        let mut sequence = fuzz::choices::Sequence::new(name.as_bytes());
        for _ in 0..CUTS {
            let bytes = spliced(&seeds, &mut sequence);
            let held = catch_unwind(|| target(&bytes)).is_ok();
            assert!(held, "the target {name} failed on {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

/// Inputs of each target that are made of its seeds.
const CUTS: usize = 40;

/// The start of one seed, a byte or a word of chance, and the end of another.
fn spliced(seeds: &[Vec<u8>], sequence: &mut fuzz::choices::Sequence) -> Vec<u8> {
    let indices: Vec<usize> = (0..seeds.len()).collect();
    let (one, other) = (&seeds[sequence.of(&indices)], &seeds[sequence.of(&indices)]);
    let mut place = |bytes: &[u8]| sequence.of(&(0..=bytes.len()).collect::<Vec<_>>());
    let (end, start) = (place(one), place(other));
    let between = sequence.of(&[&b""[..], b" ", b"\n", b"(", b"\"", b"-1", b"0xffffffffffffffff", b"\0"]);
    [&one[..end], between, &other[start..]].concat()
}

#[test]
fn every_target_has_a_file_a_section_of_the_manifest_and_small_seeds() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(stems(&folder("fuzz_targets")), names, "a file for each target");
    assert_eq!(stems(&folder("seeds")), names, "seeds for each target");
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("the manifest is there");
    for name in names {
        let section = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&section), "no {section}");
        let seeds = entries(&folder("seeds").join(name));
        assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
        for seed in seeds {
            let size = fs::metadata(&seed).expect("a seed can be read").len();
            assert!(size <= LARGEST, "{}: {size} bytes", seed.display());
        }
    }
}
