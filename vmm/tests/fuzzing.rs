//! The fuzz targets on their seeds and on inputs of chance, without a fuzzer: whatever the input is, nothing panics, and
//! what must hold does.

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a crate of its own where it is fuzzed")]
mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;
use proptest::prelude::*;

/// Seeds are small: the fuzzer makes the large inputs.
const LARGEST: u64 = 2048;

/// Seeds of a target at most. What a fuzzer keeps belongs into `corpus`, where nobody has to read it.
const MOST: usize = 24;

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

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let seeds = entries(&folder("seeds").join(target));
    seeds.iter().map(|seed| fs::read(seed).expect("a seed can be read")).collect()
}

#[test]
fn every_target_holds_on_its_seeds_and_takes_one_of_them() {
    for (name, target) in TARGETS {
        let mut taken = false;
        for (seed, bytes) in entries(&folder("seeds").join(name)).iter().zip(seeds(name)) {
            let took = catch_unwind(|| target(&bytes)).ok();
            taken |= took.unwrap_or_else(|| panic!("the target {name} failed on {}", seed.display()));
        }
        assert!(taken, "no seed of {name} gets anywhere, so that the fuzzer begins with nothing");
    }
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
        assert!((3..=MOST).contains(&seeds.len()), "{name} has {} seeds", seeds.len());
        for seed in seeds {
            let size = fs::metadata(&seed).expect("a seed can be read").len();
            assert!(size <= LARGEST, "{}: {size} bytes", seed.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What a fuzzer does first: the start of one seed, bytes of chance, and the end of another.
    #[test]
    fn every_target_holds_on_seeds_that_are_cut_and_spliced(
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        goes_on in any::<prop::sample::Index>(),
        between in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for (name, target) in TARGETS {
            let seeds = seeds(name);
            let (one, other) = (one.get(&seeds), other.get(&seeds));
            let (end, start) = (cut.index(one.len() + 1), goes_on.index(other.len() + 1));
            let bytes = [&one[..end], &between, &other[start..]].concat();
            prop_assert!(catch_unwind(|| target(&bytes)).is_ok(), "the target {} failed on {:?}", name, bytes);
        }
    }

    #[test]
    fn every_target_holds_on_bytes_of_chance(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for (name, target) in TARGETS {
            prop_assert!(catch_unwind(|| target(&bytes)).is_ok(), "the target {} failed", name);
        }
    }
}
