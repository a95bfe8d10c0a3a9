//! Which crate of ipblock-ctl may use which. Cargo enforces the manifests; this compares the
//! manifests with docs/architecture.md.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::Violation;
use crate::command::{cargo, output_of, root};

/// A crate inside ipblock-ctl.
struct Layer {
    name: &'static str,
    /// Our crates that it may use.
    may_use: &'static [&'static str],
}

const fn layer(name: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { name, may_use }
}

/// As in docs/architecture.md. `cli` uses `datapath` only for what must work without the daemon:
/// see `imports.rs`.
const LAYERS: [Layer; 8] = [
    layer("fault", &[]),
    layer("policy", &["common"]),
    layer("datapath", &["policy", "fault", "common"]),
    layer("store", &["policy", "fault", "common"]),
    layer("api", &["policy"]),
    layer(
        "daemon",
        &["api", "store", "datapath", "policy", "fault", "common"],
    ),
    layer("output", &["api"]),
    layer("cli", &["output", "api", "policy", "datapath"]),
];

/// External crates that only one layer may use: (prefix of their names, the layer).
const ONE_ROOM: [(&str, &str); 3] = [
    ("aya", "datapath"),
    ("netlink", "datapath"),
    ("rusqlite", "store"),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate of the workspace, as `cargo metadata` describes it.
#[derive(Deserialize)]
pub(crate) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None`: for the crate itself; else `dev` or `build`.
    kind: Option<String>,
}

/// Names of the layers: the folders of ipblock-ctl with a crate.
pub(crate) fn layers() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|layer| layer.name)
}

/// Checks the manifests of the workspace. Test code is exempt: a test of the client may start a
/// daemon.
pub(crate) fn check() -> Result<Vec<Violation>> {
    let mut metadata = cargo();
    metadata.current_dir(root()).args([
        "metadata",
        "--no-deps",
        "--locked",
        "--format-version",
        "1",
    ]);
    let metadata = output_of(&mut metadata)?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("cannot read what `cargo metadata` prints")?;
    Ok(objections(&metadata.packages))
}

fn objections(packages: &[Package]) -> Vec<Violation> {
    let layers: BTreeMap<String, &Layer> = LAYERS
        .iter()
        .map(|layer| (format!("ipblock-{}", layer.name), layer))
        .collect();
    let mut found = Vec::new();
    for package in packages {
        let Some(layer) = layers.get(&package.name) else {
            continue;
        };
        let used = package.dependencies.iter();
        for used in used.filter(|dependency| dependency.kind.is_none()) {
            if let Some(why) = objection(layer, &used.name) {
                found.push(Violation {
                    place: format!("ipblock-ctl/{}/Cargo.toml:1", layer.name),
                    what: format!("`{}`", used.name),
                    why,
                });
            }
        }
    }
    found
}

/// Why a layer may not use a crate.
fn objection(layer: &Layer, used: &str) -> Option<String> {
    let name = layer.name;
    if let Some(ours) = used.strip_prefix("ipblock-") {
        let allowed = match layer.may_use {
            [] => "nothing of ours".to_owned(),
            crates => format!("only {}", crates.join(", ")),
        };
        return (!layer.may_use.contains(&ours)).then(|| format!("`{name}` uses {allowed}"));
    }
    if name == "policy" && used == "tokio" {
        return Some("`policy` is pure: it is synchronous".to_owned());
    }
    let (_, room) = ONE_ROOM
        .iter()
        .find(|(prefix, room)| used.starts_with(prefix) && *room != name)?;
    Some(format!("only `{room}` uses it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, used: &str, kind: Option<&str>) -> Vec<String> {
        let package = Package {
            name: name.to_owned(),
            dependencies: vec![Dependency {
                name: used.to_owned(),
                kind: kind.map(str::to_owned),
            }],
        };
        let violations = objections(&[package]);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dependency_that_runs_upwards_is_named_with_its_manifest_and_the_reason() {
        assert_eq!(
            found("ipblock-store", "ipblock-daemon", None),
            [
                "ipblock-ctl/store/Cargo.toml:1: `ipblock-daemon`: `store` uses only policy, fault, common"
            ]
        );
    }

    #[test]
    fn what_may_be_used() {
        let none: [String; 0] = [];
        for (name, used) in [
            ("ipblock-daemon", "ipblock-store"),
            ("ipblock-cli", "ipblock-output"),
            ("ipblock-datapath", "aya"),
            ("ipblock-store", "rusqlite"),
            ("ipblock-daemon", "tokio"),
            ("xtask", "ipblock-daemon"),
        ] {
            assert_eq!(found(name, used, None), none, "{name} {used}");
        }
        assert_eq!(found("ipblock-store", "ipblock-daemon", Some("dev")), none);
    }

    #[test]
    fn what_may_not_be_used() {
        for (name, used, why) in [
            ("ipblock-output", "ipblock-policy", "only api"),
            ("ipblock-output", "ipblock-common", "only api"),
            ("ipblock-fault", "ipblock-policy", "nothing of ours"),
            ("ipblock-daemon", "aya-obj", "only `datapath`"),
            ("ipblock-daemon", "rusqlite", "only `store`"),
            ("ipblock-policy", "tokio", "synchronous"),
        ] {
            let found = found(name, used, None);
            assert!(found[0].contains(why), "{found:?}");
        }
    }
}
