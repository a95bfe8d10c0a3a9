//! What running the tests and the demo needs beyond a build: bpffs, and programs that make
//! network namespaces and traffic.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{apt, plan::Packages};
use crate::command::{on_path, say};

const BPFFS: &str = "/sys/fs/bpf";

/// Something that a Debian package brings.
struct Part {
    /// A program on `PATH`, or a file by its absolute path.
    wanted: &'static str,
    package: &'static str,
    purpose: &'static str,
    /// Without it the run goes on with less.
    optional: bool,
}

const PARTS: [Part; 6] = [
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

/// Makes everything ready that privileged runs need. Needs root.
pub(crate) fn prepare() -> Result<()> {
    mount_bpffs()?;
    let missing: Vec<&Part> = PARTS.iter().filter(|part| !part.is_there()).collect();
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
