//! The direction of imports inside ipblock-ctl, and what each layer may not touch.
//!
//! Test code is free: a test of the client may well start a daemon.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{
    Violation,
    circles::House,
    paths::{PathUse, Scan, Target, scan, tokens_of},
};

/// A folder of ipblock-ctl/src and what it may import.
struct Layer {
    name: &'static str,
    /// Other layers.
    imports: &'static [&'static str],
    /// Whether it may name the kernel's types in ipblock-common.
    kernel_abi: bool,
}

/// As docs/architecture.md gives it; the policy types that the API's types contain reach
/// `output` as re-exports of `api`.
const LAYERS: [Layer; 8] = [
    Layer {
        name: "fault",
        imports: &[],
        kernel_abi: false,
    },
    Layer {
        name: "policy",
        imports: &[],
        kernel_abi: true,
    },
    Layer {
        name: "datapath",
        imports: &["policy", "fault"],
        kernel_abi: true,
    },
    Layer {
        name: "store",
        imports: &["policy", "fault"],
        kernel_abi: true,
    },
    Layer {
        name: "api",
        imports: &["policy"],
        kernel_abi: false,
    },
    Layer {
        name: "daemon",
        imports: &["api", "store", "datapath", "policy", "fault"],
        kernel_abi: true,
    },
    Layer {
        name: "output",
        imports: &["api"],
        kernel_abi: false,
    },
    Layer {
        name: "cli",
        imports: &["output", "api", "policy"],
        kernel_abi: false,
    },
];

/// Modules that must work when the daemon does not: they may ask the kernel themselves.
const WITHOUT_DAEMON: [[&str; 2]; 3] = [["cli", "bpffs"], ["cli", "doctor"], ["cli", "panic_off"]];

/// What would make `policy` depend on more than its arguments: paths, and why not.
const IMPURE: [(&[&str], &str); 11] = [
    (&["tokio"], "it is synchronous"),
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

/// Checks the sources of ipblock-ctl/src, given as (path from there, text).
pub(crate) fn check(sources: &[(String, String)]) -> Result<Vec<Violation>> {
    let mut scans = BTreeMap::new();
    for (path, text) in sources {
        let module = module_of(path);
        let tokens = tokens_of(text).with_context(|| format!("ipblock-ctl/src/{path}"))?;
        scans.insert(path.as_str(), (scan(tokens, &module), module));
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
            .map(|(path, (scan, module))| (*path, module.as_slice(), scan))
    };
    let mut violations: Vec<_> = own()
        .flat_map(|(path, module, scan)| check_file(path, scan, module))
        .collect();
    violations.extend(House::of(own()).circles());
    Ok(violations)
}

/// `cli/rule/mod.rs` is the module `cli::rule`; `lib.rs` is the root, and so are the binaries.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path.starts_with("bin/") {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

fn check_file(path: &str, scan: &Scan, module: &[String]) -> Vec<Violation> {
    let violation = |line, what: String, why: String| Violation {
        place: format!("ipblock-ctl/src/{path}:{line}"),
        what,
        why,
    };
    let layer = module
        .first()
        .map(|name| LAYERS.iter().find(|layer| layer.name == name.as_str()));
    if let (Some(None), Some(name)) = (layer, module.first()) {
        return vec![violation(
            1,
            format!("`{name}` is no layer"),
            "xtask/src/check/imports.rs must say what it may import".to_owned(),
        )];
    }
    let layer = layer.flatten();
    scan.paths
        .iter()
        .filter_map(|PathUse { target, line }| {
            let (what, why) = match target {
                Target::Local(segments) => {
                    let why = local_objection(layer?, module, segments)?;
                    (format!("crate::{}", segments.join("::")), why)
                }
                Target::Other(segments) => {
                    (segments.join("::"), foreign_objection(layer, segments)?)
                }
            };
            Some(violation(*line, format!("`{what}`"), why))
        })
        .collect()
}

/// Why a module of `layer` may not name this path of its own crate.
fn local_objection(layer: &Layer, module: &[String], segments: &[String]) -> Option<String> {
    let target = segments.first()?.as_str();
    let is_layer = target == "*" || LAYERS.iter().any(|layer| layer.name == target);
    let may_skip_the_daemon = target == "datapath"
        && WITHOUT_DAEMON.iter().any(|exempt| {
            module.iter().zip(exempt).filter(|(a, b)| a == b).count() == exempt.len()
        });
    if !is_layer || target == layer.name || layer.imports.contains(&target) || may_skip_the_daemon {
        return None;
    }
    let allowed = match layer.imports {
        [] => "nothing else of this crate".to_owned(),
        layers => format!("only {}", layers.join(", ")),
    };
    Some(format!("`{}` imports {allowed}", layer.name))
}

/// Why a module of `layer` (`None`: the crate's root and the binaries) may not name this path of
/// another crate.
fn foreign_objection(layer: Option<&Layer>, segments: &[String]) -> Option<String> {
    let starts_with = |path: &[&str]| {
        path.len() <= segments.len() && path.iter().zip(segments).all(|(a, b)| a == b)
    };
    let first = segments.first()?.as_str();
    let name = layer.map_or("the crate's root", |layer| layer.name);
    if first.starts_with("aya") && name != "datapath" {
        return Some("only `datapath` imports aya".to_owned());
    }
    let layer = layer?;
    if first == "ipblock_common" && !layer.kernel_abi {
        return Some(format!("`{name}` does not know the kernel's types"));
    }
    if name != "policy" {
        return None;
    }
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

    fn violations(path: &str, source: &str) -> Vec<String> {
        check(&[(path.to_owned(), source.to_owned())])
            .unwrap()
            .into_iter()
            .map(|violation| violation.to_string())
            .collect()
    }

    #[track_caller]
    fn assert_allowed(path: &str, source: &str) {
        assert_eq!(violations(path, source), Vec::<String>::new());
    }

    #[track_caller]
    fn assert_refused(path: &str, source: &str, because: &str) {
        let found = violations(path, source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(because), "{found:?}");
    }

    #[test]
    fn an_import_that_runs_upwards_is_named_with_file_line_and_reason() {
        assert_eq!(
            violations("store/bans.rs", "\nuse crate::daemon::deploy;"),
            [
                "ipblock-ctl/src/store/bans.rs:2: `crate::daemon::deploy`: `store` imports only policy, fault"
            ]
        );
    }

    #[test]
    fn imports_that_run_downwards_are_allowed() {
        assert_allowed(
            "daemon/mod.rs",
            "use crate::{api, datapath, policy, store};",
        );
        assert_allowed("cli/rule.rs", "use crate::{api, output, policy};");
        assert_allowed("cli/rule.rs", "use super::connect;");
        assert_allowed("policy/compile/mod.rs", "use super::super::policy::Action;");
    }

    #[test]
    fn climbing_with_super_is_seen() {
        assert_refused(
            "policy/compile/classes.rs",
            "use super::super::super::datapath::Tables;",
            "nothing else of this crate",
        );
    }

    #[test]
    fn everything_of_the_root_at_once_is_refused() {
        assert_refused("policy/mod.rs", "use crate::*;", "nothing else");
    }

    #[test]
    fn output_takes_policy_types_from_the_api_only() {
        assert_allowed("output/table.rs", "use crate::api::Action;");
        assert_refused("output/table.rs", "use crate::policy::Action;", "only api");
    }

    #[test]
    fn only_verbs_that_work_without_the_daemon_reach_the_datapath() {
        let source = "use crate::datapath::inspect;";
        assert_allowed("cli/doctor.rs", source);
        assert_allowed("cli/doctor/kernel.rs", source);
        assert_allowed("cli/panic_off.rs", source);
        assert_refused("cli/status.rs", source, "`cli` imports only");
        assert_refused(
            "cli/doctor.rs",
            "use crate::store::Db;",
            "`cli` imports only",
        );
    }

    #[test]
    fn only_datapath_imports_aya() {
        assert_allowed(
            "datapath/load.rs",
            "use aya::Ebpf; use aya_log::EbpfLogger;",
        );
        assert_refused("daemon/mod.rs", "fn f() { aya::Ebpf::load(&[]); }", "aya");
        assert_refused("bin/ipblockd.rs", "use aya_log::EbpfLogger;", "aya");
    }

    #[test]
    fn policy_may_use_addresses_and_durations_but_no_sockets_and_clocks() {
        let path = "policy/rule.rs";
        assert_allowed(
            path,
            "use std::{net::IpAddr, time::Duration}; use jiff::Timestamp;",
        );
        assert_refused(path, "use std::net::UdpSocket;", "no sockets");
        assert_refused(
            path,
            "use std::time::{Duration, Instant};",
            "time is an argument",
        );
        assert_refused(path, "fn f() { Timestamp::now(); }", "time is an argument");
        assert_refused(path, "use std::time::*;", "must be seen");
        assert_refused(path, "use std::fs;", "files");
        assert_refused(path, "use tokio;", "synchronous");
    }

    #[test]
    fn the_api_and_what_prints_it_do_not_know_the_kernels_types() {
        assert_allowed("store/counters.rs", "use ipblock_common::Count;");
        assert_refused("output/table.rs", "use ipblock_common::Count;", "kernel's");
    }

    #[test]
    fn test_code_is_free() {
        assert_allowed(
            "policy/mod.rs",
            "#[cfg(test)] mod tests { use crate::daemon; use std::time::Instant; }",
        );
        let files = [
            ("policy/mod.rs", "#[cfg(test)] mod tests;"),
            ("policy/tests.rs", "use std::fs;"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        assert!(check(&files).unwrap().is_empty());
    }

    /// What is wrong with files that are given with their text.
    fn of_files(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        let violations = check(&files).unwrap();
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let found = of_files(&[
            ("daemon/mod.rs", ""),
            ("daemon/a.rs", "use super::b::B;"),
            ("daemon/b.rs", "use crate::daemon::c::C;"),
            ("daemon/c.rs", "fn f() { super::a::f(); }"),
            ("daemon/d.rs", "use super::a::f;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("3 files import each other"), "{found:?}");
    }

    #[test]
    fn a_name_that_a_module_passes_on_is_followed_to_where_it_is_defined() {
        let passed_on = |inside: &str| {
            of_files(&[
                ("daemon/mod.rs", "mod a; mod b; pub use a::{A, B as C};"),
                ("daemon/a.rs", inside),
                ("daemon/b.rs", "use super::{A, C};"),
            ])
        };
        assert_eq!(passed_on(""), Vec::<String>::new());
        let found = passed_on("use super::b::D;");
        assert!(found[0].contains("2 files import each other"), "{found:?}");
    }

    #[test]
    fn a_part_of_a_module_may_use_what_the_module_defines() {
        let files = [
            ("daemon/mod.rs", "mod a; use a::A; pub struct B;"),
            ("daemon/a.rs", "use super::B;"),
        ];
        assert_eq!(of_files(&files), Vec::<String>::new());
    }

    #[test]
    fn a_folder_that_no_layer_describes_is_reported() {
        assert_refused("metrics/mod.rs", "", "is no layer");
    }
}
