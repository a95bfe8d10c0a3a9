//! Every property with the committed seeds, with every input that once caused a failure, and with
//! thousands of mutations of both.
//!
//! The mutations are the same in every run. `IPBLOCK_FUZZ_SEED=NUMBER` selects others, and
//! `IPBLOCK_FUZZ_RUNS=NUMBER` more of them per property. A failing input is printed and saved in
//! the directory for temporary files: move it to `fuzz/crashes/NAME` under a name that says what
//! broke.
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

/// Mutations per fast property.
const RUNS: usize = 2_000;

/// Slow properties, with the divisor for their number of runs: they use many addresses, write files
/// or build large tables.
const SLOW: [(&str, usize); 4] = [("bans", 4), ("compile", 2), ("store", 10), ("tables", 100)];

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

/// Whether the property is true; a panic's own message is printed.
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

/// Asserts a property for its seeds, and for mutations of them and of its crashes.
fn check(name: &str) {
    let seed = number("IPBLOCK_FUZZ_SEED", 1);
    let runs = usize::try_from(number("IPBLOCK_FUZZ_RUNS", RUNS as u64)).unwrap();
    println!("IPBLOCK_FUZZ_SEED={seed} IPBLOCK_FUZZ_RUNS={runs}");
    let (_, property) = ALL.into_iter().find(|(other, _)| *other == name).unwrap();
    if let Err(broken) = break_it(name, property, seed, runs) {
        panic!("{broken}");
    }
}

/// A test per property, so that they run in parallel, and one that none is missing.
macro_rules! check_each {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_property_has_a_test() {
            assert_eq!(ALL.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

check_each!(
    addresses, bans, compile, document, edits, import, requests, store, tables
);

/// Describes the first input that breaks the property.
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
