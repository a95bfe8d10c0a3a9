//! Imports of a layer's files: rules beyond its manifest, and circles of files.
//!
//! Test code is exempt: a test of the client may start a daemon.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{
    Violation,
    circles::House,
    paths::{PathUse, Target, scan, tokens_of},
};

/// Modules of `cli` that must work without the daemon: they may access the kernel themselves.
const WITHOUT_DAEMON: [&str; 3] = ["bpffs", "doctor", "panic_off"];

/// Paths that would make `policy` depend on more than its arguments, with the reason.
const IMPURE: [(&[&str], &str); 10] = [
    (&["std", "fs"], "files are read by its callers"),
    (&["std", "env"], "the environment is its callers'"),
    (&["std", "process"], "it starts nothing"),
    (&["std", "os"], "it is portable"),
    (&["std", "net", "TcpStream"], "it has no sockets"),
    (&["std", "net", "TcpListener"], "it has no sockets"),
    (&["std", "net", "UdpSocket"], "it has no sockets"),
    (&["std", "net", "ToSocketAddrs"], "it resolves no names"),
    (&["std", "time", "SystemTime"], "time is an argument"),
    (&["std", "time", "Instant"], "time is an argument"),
];

/// Checks the sources of a layer, given as (path below its `src`, text).
pub(crate) fn check(layer: &str, sources: &[(String, String)]) -> Result<Vec<Violation>> {
    let place = |path: &str| format!("ipblock-ctl/{layer}/src/{path}");
    let mut scans = BTreeMap::new();
    for (path, text) in sources {
        let module = module_of(path);
        let tokens = tokens_of(text).with_context(|| place(path))?;
        scans.insert(place(path), (scan(tokens, &module), module));
    }
    let test_modules: Vec<Vec<String>> = scans
        .values()
        .flat_map(|(scan, _)| scan.test_modules.clone())
        .collect();
    let own = || {
        let is_test = |module: &[String]| test_modules.iter().any(|test| module.starts_with(test));
        scans
            .iter()
            .filter(move |(_, (_, module))| !is_test(module))
            .map(|(place, (scan, module))| (place.as_str(), module.as_slice(), scan))
    };
    let mut violations = Vec::new();
    for (place, module, scan) in own() {
        for PathUse { target, line } in &scan.paths {
            if let Target::Other(segments) = target
                && let Some(why) = objection(layer, module, segments)
            {
                violations.push(Violation {
                    place: format!("{place}:{line}"),
                    what: format!("`{}`", segments.join("::")),
                    why,
                });
            }
        }
    }
    violations.extend(House::of(own()).circles());
    Ok(violations)
}

/// `rule/mod.rs` is the module `rule`; `lib.rs` is the root.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

/// Why a module of a layer must not use this path of another crate.
fn objection(layer: &str, module: &[String], segments: &[String]) -> Option<String> {
    let first = segments.first()?.as_str();
    match layer {
        "policy" => impurity(segments),
        "cli" if first == "ipblock_datapath" => {
            let works_without = module
                .first()
                .is_some_and(|module| WITHOUT_DAEMON.contains(&module.as_str()));
            (!works_without).then(|| {
                format!(
                    "of `cli` only {} ask the kernel themselves",
                    WITHOUT_DAEMON.join(", ")
                )
            })
        }
        _ => None,
    }
}

/// Why `policy` would depend on more than its arguments.
fn impurity(segments: &[String]) -> Option<String> {
    let starts_with = |path: &[&str]| {
        path.len() <= segments.len() && path.iter().zip(segments).all(|(a, b)| a == b)
    };
    let reason = IMPURE
        .iter()
        .find(|(path, _)| starts_with(path))
        .map(|(_, reason)| *reason);
    let hides_a_clock = segments.len() > 1 && segments.last().is_some_and(|last| last == "now");
    let is_wide = ["net", "time"]
        .iter()
        .any(|module| starts_with(&["std", module, "*"]));
    let reason = reason
        .or(hides_a_clock.then_some("time is an argument"))
        .or(is_wide.then_some("what it takes of that module must be seen"))?;
    Some(format!("`policy` is pure: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with files of a layer that are given with their text.
    fn violations(layer: &str, files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        let violations = check(layer, &files).unwrap();
        violations.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn assert_allowed(layer: &str, path: &str, source: &str) {
        assert_eq!(violations(layer, &[(path, source)]), Vec::<String>::new());
    }

    #[track_caller]
    fn assert_refused(layer: &str, path: &str, source: &str, because: &str) {
        let found = violations(layer, &[(path, source)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(because), "{found:?}");
    }

    #[test]
    fn only_verbs_that_work_without_the_daemon_reach_the_datapath() {
        let source = "\nuse ipblock_datapath::inspect;";
        assert_allowed("cli", "doctor.rs", source);
        assert_allowed("cli", "doctor/kernel.rs", source);
        assert_allowed("cli", "panic_off.rs", source);
        assert_allowed("daemon", "status.rs", source);
        assert_eq!(
            violations("cli", &[("status.rs", source)]),
            [
                "ipblock-ctl/cli/src/status.rs:2: `ipblock_datapath::inspect`: of `cli` only bpffs, \
                 doctor, panic_off ask the kernel themselves"
            ]
        );
    }

    #[test]
    fn policy_may_use_addresses_and_durations_but_no_sockets_and_clocks() {
        let path = "rule.rs";
        assert_allowed(
            "policy",
            path,
            "use std::{net::IpAddr, time::Duration}; use jiff::Timestamp;",
        );
        assert_refused("policy", path, "use std::net::UdpSocket;", "no sockets");
        assert_refused(
            "policy",
            path,
            "use std::time::{Duration, Instant};",
            "time is an argument",
        );
        assert_refused(
            "policy",
            path,
            "fn f() { Timestamp::now(); }",
            "time is an argument",
        );
        assert_refused("policy", path, "use std::time::*;", "must be seen");
        assert_refused("policy", path, "use std::fs;", "files");
    }

    #[test]
    fn test_code_is_free() {
        assert_allowed(
            "policy",
            "lib.rs",
            "#[cfg(test)] mod tests { use std::time::Instant; }",
        );
        let files = [
            ("lib.rs", "#[cfg(test)] mod tests;"),
            ("tests.rs", "use std::fs;"),
        ];
        assert_eq!(violations("policy", &files), Vec::<String>::new());
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let found = violations(
            "daemon",
            &[
                ("lib.rs", ""),
                ("a.rs", "use super::b::B;"),
                ("b.rs", "use crate::c::C;"),
                ("c.rs", "fn f() { super::a::f(); }"),
                ("d.rs", "use super::a::f;"),
            ],
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("3 files import each other"), "{found:?}");
    }

    #[test]
    fn a_name_that_a_module_passes_on_is_followed_to_where_it_is_defined() {
        let passed_on = |inside: &str| {
            violations(
                "daemon",
                &[
                    ("lib.rs", "mod a; mod b; pub use a::{A, B as C};"),
                    ("a.rs", inside),
                    ("b.rs", "use super::{A, C};"),
                ],
            )
        };
        assert_eq!(passed_on(""), Vec::<String>::new());
        let found = passed_on("use super::b::D;");
        assert!(found[0].contains("2 files import each other"), "{found:?}");
    }

    #[test]
    fn a_part_of_a_module_may_use_what_the_module_defines() {
        let files = [
            ("lib.rs", "mod a; use a::A; pub struct B;"),
            ("a.rs", "use super::B;"),
        ];
        assert_eq!(violations("daemon", &files), Vec::<String>::new());
    }
}
