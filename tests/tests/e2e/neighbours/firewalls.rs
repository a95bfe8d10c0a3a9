//! iptables in both forms, ufw, ipset and nft.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use ipblock_policy::{
    address::aggregate,
    exchange::{self, FileFormat, ReadError, read},
};
use ipblock_tests::{Netns, require_privileged};
use ipnet::IpNet;

use super::{has_program, output, passed_over, prefixes, set, taken, unpacked};

const RULES: [&str; 10] = [
    "-N services",
    "-A INPUT -p tcp --dport 22 -j services",
    "-A services -s 203.0.113.5 -j DROP",
    "-A INPUT -s 192.0.2.7 -j DROP",
    "-A INPUT -s 198.51.100.0/24 -j REJECT",
    "-A INPUT -m iprange --src-range 192.0.2.20-192.0.2.22 -j DROP",
    "-A INPUT -s 192.0.2.10 -j ACCEPT",
    "-A INPUT -s 192.0.2.11 -p tcp --dport 22 -j DROP",
    "-A INPUT -s 192.0.2.12 -i lo -j DROP",
    "-A INPUT -s 192.0.2.13 -m conntrack --ctstate NEW -j DROP",
];

#[test]
fn a_saved_chain_of_iptables_is_what_it_drops() -> anyhow::Result<()> {
    let root = require_privileged!();
    if !has_program("iptables-nft") || !has_program("iptables-legacy") {
        return Ok(());
    }
    for form in ["nft", "legacy"] {
        let netns = Netns::new(root)?;
        let program = format!("iptables-{form}");
        for rule in RULES {
            let words = [program.as_str()].into_iter().chain(rule.split(' '));
            netns.run(words)?;
        }
        let saved = netns.run([format!("iptables-{form}-save")])?;
        let parsed = taken(&saved, FileFormat::Iptables, &["INPUT"]);
        assert_eq!(prefixes(&parsed), dropped(&netns, &program)?, "{saved}");
        assert_eq!(
            parsed.elements.len(),
            4,
            "the range is two prefixes: {saved}"
        );
        for what in [
            "rules with -j ACCEPT",
            "rules with -p tcp",
            "rules with -i",
            "rules with -m conntrack",
        ] {
            assert_eq!(passed_over(&parsed, what), 1, "{what}: {saved}");
        }
        let services = exchange::ReadOptions {
            sets: vec!["services".to_owned()],
            ..exchange::ReadOptions::default()
        };
        let limited = exchange::read_with(saved.as_bytes(), &services)?;
        assert!(
            limited.is_spoilt,
            "only packets to a port reach it: {limited:?}"
        );

        let program = format!("ip6tables-{form}");
        for source in ["2001:db8::7", "2001:db8:5::/48"] {
            netns.run([program.as_str(), "-A", "INPUT", "-s", source, "-j", "DROP"])?;
        }
        let saved = netns.run([format!("{program}-save")])?;
        let parsed = taken(&saved, FileFormat::Iptables, &[]);
        assert_eq!(
            prefixes(&parsed),
            set(["2001:db8::7", "2001:db8:5::/48"]),
            "{saved}"
        );
    }
    Ok(())
}

/// Reads the table that `iptables -L` prints: lines that drop everything from a source.
fn dropped(netns: &Netns, program: &str) -> anyhow::Result<BTreeSet<String>> {
    let listing = netns.run([program, "-n", "-L", "INPUT"])?;
    let mut found = BTreeSet::new();
    for line in listing.lines() {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let [target, protocol, _, source, "0.0.0.0/0", rest @ ..] = cells.as_slice() else {
            continue;
        };
        if !matches!(*target, "DROP" | "REJECT") || !matches!(*protocol, "0" | "all") {
            continue;
        }
        match rest {
            [] | ["reject-with", _] => found.insert((*source).to_owned()),
            ["source", "IP", "range", "192.0.2.20-192.0.2.22"] => {
                found.extend(set(["192.0.2.20/31", "192.0.2.22"]));
                true
            }
            _ => false,
        };
    }
    // The rule for packets of an interface looks the same in this table.
    found.remove("192.0.2.12");
    Ok(found)
}

const UFW: [&str; 9] = [
    "deny from 192.0.2.7 comment ticket-42",
    "reject from 198.51.100.0/24",
    "allow from 203.0.113.5",
    "deny from 203.0.113.9 to any port 22 proto tcp",
    "deny in on eth0 from 192.0.2.99",
    "deny log from 192.0.2.55",
    "limit from 192.0.2.66",
    "route deny from 192.0.2.222",
    "deny from 2001:db8::/48",
];

#[test]
fn rules_that_ufw_writes_are_what_it_denies() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(package) = unpacked("ufw").filter(|_| has_program("/usr/bin/python3")) else {
        return Ok(());
    };
    let netns = Netns::new(root)?;
    let folder = tempfile::tempdir()?;
    let own = folder.path();
    ufw_files(&package, own)?;
    for rule in UFW {
        let mut command = netns.command("/usr/bin/python3");
        command
            .env("PYTHONPATH", package.join("usr/lib/python3/dist-packages"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(package.join("usr/sbin/ufw"))
            .args([
                format!("--rootdir={}", own.display()),
                format!("--datadir={}", own.display()),
            ])
            .args(rule.split(' '));
        output(&mut command)?;
    }
    let rules = fs::read_to_string(own.join("etc/ufw/user.rules"))?;
    let parsed = taken(&rules, FileFormat::Iptables, &["ufw-user-input"]);
    let denied = set(["192.0.2.7", "198.51.100.0/24", "192.0.2.55"]);
    assert_eq!(prefixes(&parsed), denied, "{rules}");
    assert_eq!(&*parsed.elements[0].note, "ticket-42");
    let rules = fs::read_to_string(own.join("etc/ufw/user6.rules"))?;
    let parsed = taken(&rules, FileFormat::Iptables, &[]);
    assert_eq!(prefixes(&parsed), set(["2001:db8::/48"]), "{rules}");
    Ok(())
}

/// Puts the files of the package where the options `--rootdir` and `--datadir` expect them.
fn ufw_files(package: &Path, own: &Path) -> anyhow::Result<()> {
    let rules = own.join("etc/ufw");
    fs::create_dir_all(rules.join("applications.d"))?;
    fs::create_dir_all(own.join("etc/default"))?;
    fs::create_dir_all(own.join("lib/ufw"))?;
    let shared = package.join("usr/share/ufw");
    for folder in [&shared, &shared.join("iptables"), &package.join("lib/ufw")] {
        let files = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let files: Vec<PathBuf> = files
            .filter_map(Result::ok)
            .map(|file| file.path())
            .collect();
        for file in files.iter().filter(|file| file.is_file()) {
            let name = file.file_name().context("a name")?;
            let to = if *folder == package.join("lib/ufw") {
                own.join("lib/ufw")
            } else {
                rules.clone()
            };
            fs::copy(file, to.join(name))?;
        }
    }
    fs::copy(package.join("etc/default/ufw"), own.join("etc/default/ufw"))?;
    fs::copy(
        package.join("etc/ufw/sysctl.conf"),
        rules.join("sysctl.conf"),
    )?;
    Ok(())
}

/// Every seed of the fuzz target is one: its first byte is the format.
#[test]
fn what_is_read_of_each_format_is_what_ipset_and_nft_hold() -> anyhow::Result<()> {
    let root = require_privileged!();
    if !has_program("ipset") || !has_program("nft") {
        return Ok(());
    }
    let netns = Netns::new(root)?;
    let directory = tempfile::tempdir()?;
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/import");
    let mut formats = BTreeSet::new();
    for seed in fs::read_dir(seeds)? {
        let bytes = fs::read(seed?.path())?;
        let content = bytes.get(1..).unwrap_or_default();
        let parsed = match read(content, None) {
            Ok(parsed) => parsed,
            Err(ReadError::Binary { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        if parsed.elements.is_empty() {
            continue;
        }
        formats.insert(parsed.format.as_str());
        let expected = fewest(parsed.elements.iter().map(|element| element.prefix));
        let load = |text: String, name: &str| -> anyhow::Result<String> {
            let path = directory.path().join(name);
            fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let ipset = load(exchange::ipset(&parsed.elements), "ipset")?;
        netns.run(["ipset", "restore", "-file", &ipset])?;
        let nft = load(exchange::nft(&parsed.elements), "nft")?;
        netns.run(["nft", "-f", &nft])?;
        for listing in [
            netns.run(["ipset", "save"])?,
            netns.run(["ipset", "list"])?,
            netns.run(["nft", "list", "ruleset"])?,
            netns.run(["nft", "-j", "list", "ruleset"])?,
        ] {
            let held = read(listing.as_bytes(), None)?;
            assert_eq!(held.refused, [], "{listing}");
            let held = fewest(held.elements.iter().map(|element| element.prefix));
            assert_eq!(held, expected, "{}: {listing}", parsed.format);
        }
    }
    let all = FileFormat::ALL.map(FileFormat::as_str);
    let without: Vec<&str> = all
        .into_iter()
        .filter(|format| !formats.contains(format))
        .collect();
    assert_eq!(without, [""; 0], "formats without a seed that is read");
    Ok(())
}

fn fewest(prefixes: impl Iterator<Item = IpNet>) -> Vec<IpNet> {
    aggregate(prefixes)
}
