//! Every property on the committed seeds, on every input that once broke something, and on some
//! thousand mutations of both.
//!
//! The mutations are the same in every run. `IPBLOCK_FUZZ_SEED=NUMBER` takes others, and
//! `IPBLOCK_FUZZ_RUNS=NUMBER` more of them for each property. What broke is printed, and lies in the
//! directory for temporary files: put it into `fuzz/crashes/NAME` under a name that says what broke.
#![cfg(test)]

mod mutate;

use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::Instant,
};

use ipblock_properties::{ALL, Property};
use ipblock_tests::random::Random;
use mutate::mutate;

/// Mutations for each property that is quick.
const RUNS: usize = 2_000;

/// Properties of which fewer are run, one in so many: they look at many addresses, write files or
/// build large tables.
const SLOW: [(&str, usize); 4] = [
    ("bans", 10),
    ("compile", 10),
    ("store", 10),
    ("tables", 200),
];

/// Longest mutated input, in bytes.
const LONGEST: usize = 4_096;

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Seeds or crashes of a property, by name.
fn inputs(kind: &str, property: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(kind)
        .join(property);
    let mut paths: Vec<PathBuf> = match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// Whether the property holds; a panic's own message is printed.
fn holds(property: Property, input: &[u8]) -> bool {
    panic::catch_unwind(AssertUnwindSafe(|| property(input))).is_ok()
}

#[test]
fn what_once_broke_something_does_not_any_more() {
    for (name, property) in ALL {
        for (path, input) in inputs("crashes", name) {
            assert!(holds(property, &input), "{} again", path.display());
        }
    }
}

#[test]
fn every_property_holds_for_its_seeds_and_for_mutations_of_them() {
    let seed = number("IPBLOCK_FUZZ_SEED", 1);
    let runs = usize::try_from(number("IPBLOCK_FUZZ_RUNS", RUNS as u64)).unwrap();
    println!("IPBLOCK_FUZZ_SEED={seed} IPBLOCK_FUZZ_RUNS={runs}");
    let broken: Vec<String> = ALL
        .into_iter()
        .filter_map(|(name, property)| break_it(name, property, seed, runs).err())
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The first input that breaks the property, in words.
fn break_it(name: &str, property: Property, seed: u64, runs: usize) -> Result<(), String> {
    let start = Instant::now();
    let mut known = inputs("seeds", name);
    assert!(!known.is_empty(), "no seeds of {name}");
    if let Some((path, _)) = known.iter().find(|(_, input)| !holds(property, input)) {
        return Err(path.display().to_string());
    }
    known.extend(inputs("crashes", name));
    let known: Vec<Vec<u8>> = known.into_iter().map(|(_, input)| input).collect();
    let mut random = Random::new(seed);
    let one_in = SLOW.iter().find(|(slow, _)| *slow == name);
    let runs = runs / one_in.map_or(1, |(_, one_in)| *one_in);
    for run in 0..runs {
        let input = mutate(&known, &mut random, LONGEST);
        if !holds(property, &input) {
            let path = env::temp_dir().join(format!("ipblock-{name}-{seed}-{run}"));
            fs::write(&path, &input).unwrap();
            return Err(format!(
                "{name}: mutation {run} of seed {seed}, kept in {}",
                path.display()
            ));
        }
    }
    println!("{name}: {runs} mutations, {:?}", start.elapsed());
    Ok(())
}
