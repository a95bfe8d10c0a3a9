//! The needs of the tests, the demo and the benchmark beyond a build: bpffs, and programs that
//! create network namespaces and traffic.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{apt, neighbours, plan::Packages};
use crate::command::{on_path, say};

const BPFFS: &str = "/sys/fs/bpf";

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The tests or the demo.
    Tests,
    Bench,
}

/// A part that a Debian package provides.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// A program on `PATH`, or a file by its absolute path.
    wanted: &'static str,
    package: &'static str,
    purpose: &'static str,
    /// Optional: the run continues with less.
    optional: bool,
}

/// Required by every purpose.
const PARTS: [Part; 9] = [
    Part {
        wanted: "ip",
        package: "iproute2",
        purpose: "network namespaces and veth pairs",
        optional: false,
    },
    Part {
        wanted: "nsenter",
        package: "util-linux",
        purpose: "running programs in a namespace",
        optional: false,
    },
    Part {
        wanted: "ping",
        package: "iputils-ping",
        purpose: "traffic",
        optional: false,
    },
    Part {
        wanted: "faketime",
        package: "faketime",
        purpose: "a wall clock that jumps",
        optional: false,
    },
    Part {
        wanted: "zsh",
        package: "zsh",
        purpose: "completing a line in it",
        optional: true,
    },
    Part {
        wanted: "fish",
        package: "fish",
        purpose: "completing a line in it",
        optional: true,
    },
    Part {
        wanted: "/usr/share/tor/geoip",
        package: "tor-geoipdb",
        purpose: "a real table of countries",
        optional: true,
    },
    Part {
        wanted: "nft",
        package: "nftables",
        purpose: "loading what is exported for it",
        optional: true,
    },
    Part {
        wanted: "ipset",
        package: "ipset",
        purpose: "loading what is exported for it",
        optional: true,
    },
];

/// Also required by the tests.
const OF_TESTS: [Part; 2] = [
    Part {
        wanted: "iptables",
        package: "iptables",
        purpose: "rules whose listing is imported",
        optional: true,
    },
    Part {
        wanted: "/usr/bin/python3",
        package: "python3",
        purpose: "running fail2ban and ufw, whose bans and rules are imported",
        optional: true,
    },
];

/// Also required by the benchmark.
const OF_BENCH: [Part; 1] = [Part {
    wanted: "iptables",
    package: "iptables",
    purpose: "filtering by an ipset, for comparison",
    optional: true,
}];

/// Makes everything ready that privileged runs need. Needs root.
pub(crate) fn prepare(purpose: Purpose) -> Result<()> {
    mount_bpffs()?;
    if purpose == Purpose::Tests {
        neighbours::unpack()?;
    }
    let missing = missing(purpose, Part::is_there);
    if missing.is_empty() {
        return Ok(());
    }
    for part in &missing {
        say(
            "setup",
            &format!("{} is missing ({})", part.wanted, part.purpose),
        );
    }
    if apt::access() == Packages::AptAsRoot {
        let (optional, needed): (Vec<&Part>, Vec<&Part>) =
            missing.iter().partition(|part| part.optional);
        install(&needed)?;
        if let Err(error) = install(&optional) {
            say("setup", &format!("going on without: {error:#}"));
        }
    }
    let still: Vec<String> = missing
        .iter()
        .filter(|part| !part.optional && !part.is_there())
        .map(|part| format!("{} (Debian package {})", part.wanted, part.package))
        .collect();
    if !still.is_empty() {
        bail!("not on PATH: {}\nhint: install them", still.join(", "));
    }
    Ok(())
}

/// Returns the missing parts for `purpose`.
fn missing(purpose: Purpose, is_there: impl Fn(&Part) -> bool) -> Vec<&'static Part> {
    let own: &[Part] = match purpose {
        Purpose::Tests => &OF_TESTS,
        Purpose::Bench => &OF_BENCH,
    };
    let parts = PARTS.iter().chain(own);
    parts.filter(|part| !is_there(part)).collect()
}

fn install(parts: &[&Part]) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let packages: Vec<String> = parts.iter().map(|part| part.package.to_owned()).collect();
    apt::install(&packages)
}

impl Part {
    fn is_there(&self) -> bool {
        if self.wanted.starts_with('/') {
            Path::new(self.wanted).exists()
        } else {
            on_path(self.wanted).is_some()
        }
    }
}

/// Mounts bpffs at its usual place unless it is there.
fn mount_bpffs() -> Result<()> {
    if statfs(BPFFS).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC) {
        return Ok(());
    }
    say("setup", &format!("mount -t bpf bpf {BPFFS}"));
    fs::create_dir_all(BPFFS)
        .with_context(|| format!("{BPFFS} is not there: has this kernel BPF and sysfs?"))?;
    mount(
        Some("bpf"),
        BPFFS,
        Some("bpf"),
        MsFlags::empty(),
        None::<&str>,
    )
    .with_context(|| format!("cannot mount bpffs at {BPFFS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(parts: &[&Part], optional: bool) -> Vec<&'static str> {
        let parts = parts.iter().filter(|part| part.optional == optional);
        parts.map(|part| part.package).collect()
    }

    #[test]
    fn the_tests_ask_for_what_they_compare_with() {
        let parts = missing(Purpose::Tests, |_| false);
        let needed = ["iproute2", "util-linux", "iputils-ping", "faketime"];
        assert_eq!(packages(&parts, false), needed);
        let optional = [
            "zsh",
            "fish",
            "tor-geoipdb",
            "nftables",
            "ipset",
            "iptables",
            "python3",
        ];
        assert_eq!(packages(&parts, true), optional);
    }

    #[test]
    fn the_benchmark_needs_what_the_tests_need_and_goes_on_without_what_it_compares_with() {
        let parts = missing(Purpose::Bench, |_| false);
        let needed = packages(&missing(Purpose::Tests, |_| false), false);
        assert_eq!(packages(&parts, false), needed);
        let compared = [
            "zsh",
            "fish",
            "tor-geoipdb",
            "nftables",
            "ipset",
            "iptables",
        ];
        assert_eq!(packages(&parts, true), compared);
    }

    #[test]
    fn what_is_there_is_not_asked_for() {
        let parts = missing(Purpose::Bench, |part| part.wanted != "iptables");
        assert_eq!(packages(&parts, true), ["iptables"]);
        assert_eq!(packages(&parts, false), [""; 0]);
        assert_eq!(missing(Purpose::Bench, |_| true), Vec::<&Part>::new());
    }
}
