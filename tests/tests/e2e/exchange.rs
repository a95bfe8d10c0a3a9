//! Import and export: from other programs' files to dropped packets, and to another daemon.

use std::{collections::BTreeMap, fmt::Write as _, fs, net::Ipv4Addr, sync::Arc, time::Instant};

use anyhow::Context as _;
use ipblock_api::types::{Diff, RulesetText};
use ipblock_tests::{Daemon, Netns, report_not_run, require_privileged};
use serde_json::{Value, json};

use crate::{
    answers::{answer, apply, check, count_of, deploy},
    scenario::{Scene, count, marked},
};

const SPAMHAUS: &str = r#"{"cidr":"198.51.100.0/25","sblid":"SBL1","rir":"apnic"}
{"cidr":"2001:db8:bad::/48","sblid":"SBL2","rir":"ripencc"}
{"type":"metadata","timestamp":1712345678,"size":2,"records":2}
"#;

const IPSET: &str = "\
create feed hash:net family inet hashsize 1024 maxelem 65536 comment
add feed 203.0.113.0/26 comment \"seen in spring\"
add feed 203.0.113.77
add feed 203.0.113.77
";

const BASE: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["192.0.2.1"]

[list.feed]
match = []

[[rule]]
name = "listed"
action = "block"
match = ["@feed"]
except = ["203.0.113.7"]
"#;

/// Lines of the large file: what a build without optimisation takes seconds for.
const LINES: u32 = 200_000;

fn ruleset(daemon: &Daemon) -> anyhow::Result<String> {
    let text: RulesetText = answer(daemon, "export")?;
    Ok(text.ruleset)
}

/// A ruleset file without the line that says which revision it is made from.
fn without_origin(text: &str) -> &str {
    let (origin, ruleset) = text.split_once("\n\n").expect("a line before the tables");
    assert!(origin.starts_with("revision = \""), "{origin}");
    ruleset
}

#[test]
fn imported_feeds_drop_their_packets_and_the_ruleset_goes_to_another_daemon() -> anyhow::Result<()>
{
    let root = require_privileged!();
    let scene = Scene::filtering(root, BASE)?;
    let import = |arguments: &[&str], input: &str| {
        let arguments = [&["import", "-"], arguments].concat();
        scene.daemon.ctl_with_input(&arguments, input)?.ok()
    };
    let said = import(&["--into", "abuse", "--format", "spamhaus"], SPAMHAUS)?;
    assert_eq!(
        said,
        "<stdin> (spamhaus): 2 entries read, 2 prefixes, \
         1,208,925,819,614,629,174,706,304 addresses\nrule abuse: 2 prefixes added\n"
    );
    let said = import(&["--into", "@feed", "--deploy"], IPSET)?;
    assert!(
        said.starts_with(
            "<stdin> (ipset): 3 entries read, 2 prefixes, 65 addresses, 1 duplicate\n\
             list @feed: 2 prefixes added\ndeployed revision 2: "
        ),
        "{said}"
    );

    let abuse = [marked("198.51.100.7", 1), marked("2001:db8:bad::7", 2)];
    let listed = [marked("203.0.113.5", 3), marked("203.0.113.77", 4)];
    let free = [
        marked("203.0.113.7", 5),
        marked("198.51.100.200", 6),
        marked("203.0.113.76", 7),
    ];
    for frames in [&abuse[..], &listed, &free] {
        scene.send(frames, 3)?;
    }
    let counters = scene.judged(21)?;
    assert_eq!(
        counters.totals.dropped,
        count(abuse.iter().chain(&listed), 3)
    );
    assert_eq!(counters.totals.passed, count(&free, 3));
    assert_eq!(count_of(&counters, "abuse"), count(&abuse, 3));
    assert_eq!(count_of(&counters, "listed"), count(&listed, 3));
    assert_eq!(
        scene.receiver.counts(),
        BTreeMap::from([(5, 3), (6, 3), (7, 3)])
    );

    let exported = ruleset(&scene.daemon)?;
    for (at, note) in [
        ("198.51.100.0/25", "SBL1"),
        ("203.0.113.0/26", "seen in spring"),
    ] {
        let element = format!("{{ at = \"{at}\", note = \"{note}\" }}");
        assert!(exported.contains(&element), "{exported}");
    }
    let other = Daemon::in_netns(root, &scene.pair.peer.netns).start()?;
    for format in ["toml", "json"] {
        let text = scene.daemon.ctl(["export", "--format", format])?.ok()?;
        other.ctl_with_input("apply -", &text)?.ok()?;
        assert_eq!(
            without_origin(&ruleset(&other)?),
            without_origin(&exported),
            "{format}"
        );
        let dry = other.ctl_with_input("apply - --dry-run", &exported)?;
        assert_eq!(dry.code, 0, "nothing differs: {dry:?}");
        let diff: Diff = answer(&other, "diff")?;
        assert_eq!((diff.rules, diff.other), (vec![], vec![]));
    }
    Ok(())
}

#[test]
fn a_refused_import_stages_nothing() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    apply(&scene.daemon, BASE)?;
    let import = |input: &str, into: &str| {
        scene
            .daemon
            .ctl_with_input(["import", "-", "--into", into], input)
    };
    let output = import("192.0.2.9\n192.0.2.9/24\n", "abuse")?;
    assert_eq!(output.code, 2);
    assert!(
        output.stderr.starts_with("error: <stdin>:2: "),
        "{output:?}"
    );
    let output = import("192.0.2.9\n", "abus")?;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(
        output.stderr.contains("did you mean `abuse`?"),
        "{output:?}"
    );
    let output = import("0.0.0.0/1\n128.0.0.0/1\n", "@feed")?;
    assert_eq!(output.code, 3, "{output:?}");
    let staged = answer::<Value>(&scene.daemon, "status")?["staged"].clone();
    assert_eq!(staged, json!(0));
    Ok(())
}

#[test]
fn what_is_exported_is_loaded_by_ipset_and_nft() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    apply(&scene.daemon, BASE)?;
    let input = "0.0.0.0/2 # wide \"one\"\n198.51.100.1-198.51.100.6\n2001:db8::/33\n::1\n";
    let arguments = ["import", "-", "--into", "abuse", "--deploy", "--wide"];
    scene.daemon.ctl_with_input(arguments, input)?.ok()?;
    let netns = &scene.pair.host.netns;
    for program in ["nft", "ipset"] {
        if let Err(error) = netns.run([program, "--version"]) {
            let why = format!("{error:#}\nhint: apt-get install nftables ipset");
            let required = std::env::var("IPBLOCK_REQUIRE_PRIVILEGED");
            assert!(required.as_deref() != Ok("1"), "{why}");
            report_not_run(&why);
            return Ok(());
        }
    }
    let directory = tempfile::tempdir()?;
    let export = |format: &str| -> anyhow::Result<String> {
        let text = scene.daemon.ctl(["export", "--format", format])?.ok()?;
        let path = directory.path().join(format);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (nft, ipset) = (export("nft")?, export("ipset")?);
    // Loading twice has the same result as loading once.
    for _ in 0..2 {
        netns.run(["nft", "-f", &nft])?;
        netns.run(["ipset", "restore", "-file", &ipset])?;
    }
    let before = prefixes(&scene.daemon, &["export", "--format", "plain"])?;
    for (program, listing) in [
        ("nft", netns.run(["nft", "list", "ruleset"])?),
        ("nft -j", netns.run(["nft", "-j", "list", "ruleset"])?),
        ("ipset", netns.run(["ipset", "save"])?),
    ] {
        let arguments = "import - --into @copy --replace";
        scene.daemon.ctl_with_input(arguments, &listing)?.ok()?;
        let copied = prefixes(&scene.daemon, &["export", "--staged", "--list", "copy"])?;
        assert_eq!(copied, before, "{program}: {listing}");
    }
    Ok(())
}

#[test]
fn a_set_that_has_grown_is_loaded_again() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    apply(&scene.daemon, BASE)?;
    let netns = &scene.pair.host.netns;
    if let Err(error) = netns.run(["ipset", "--version"]) {
        let why = format!("{error:#}\nhint: apt-get install ipset nftables");
        let required = std::env::var("IPBLOCK_REQUIRE_PRIVILEGED");
        assert!(required.as_deref() != Ok("1"), "{why}");
        report_not_run(&why);
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    // One more than ipset's default capacity, and few again.
    for size in [3, 65_537, 70_000, 3_u32] {
        let mut feed = String::new();
        for index in 0..size {
            writeln!(feed, "{}", Ipv4Addr::from(0x0a00_0000 + 2 * index))?;
        }
        let arguments = "import - --into @feed --replace --deploy --force";
        scene.daemon.ctl_with_input(arguments, &feed)?.ok()?;
        for (format, load) in [("ipset", "ipset restore -file"), ("nft", "nft -f")] {
            let text = scene.daemon.ctl(["export", "--format", format])?.ok()?;
            let path = directory.path().join(format);
            fs::write(&path, text)?;
            let path = path.display().to_string();
            let command: Vec<&str> = load.split(' ').chain([path.as_str()]).collect();
            for _ in 0..2 {
                netns
                    .run(&command)
                    .with_context(|| format!("{format}, {size} addresses"))?;
            }
        }
        let saved = netns.run(["ipset", "save", "ipblock4"])?;
        let held = saved
            .lines()
            .filter(|line| line.starts_with("add "))
            .count();
        // 192.0.2.1 of the other rule.
        assert_eq!(held, usize::try_from(size)? + 1);
    }
    Ok(())
}

/// The prefixes that a command prints, sorted.
fn prefixes(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
    let text = daemon.ctl(arguments)?.ok()?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn a_large_feed_is_one_edit() -> anyhow::Result<()> {
    let root = require_privileged!();
    let netns = Arc::new(Netns::new(root)?);
    let daemon = Daemon::in_netns(root, &netns).start()?;
    let lines = match std::env::var("IPBLOCK_IMPORT_LINES") {
        Ok(lines) => lines.parse().context("IPBLOCK_IMPORT_LINES")?,
        Err(_) => LINES,
    };
    let mut feed = String::new();
    for index in 0..lines {
        // Every address once, in disorder.
        let address = Ipv4Addr::from(index.wrapping_mul(0x9e37_79b1));
        writeln!(feed, "{address} # ticket {index}")?;
    }
    let start = Instant::now();
    let arguments = "import - --into @feed --json";
    let said = daemon.ctl_with_input(arguments, &feed)?.ok()?;
    eprintln!(
        "{lines} lines imported and staged in {:.1?}",
        start.elapsed()
    );
    let report: Value = serde_json::from_str(&said)?;
    assert_eq!(report["prefixes"], json!(lines));
    assert_eq!(report["staged"]["staged"], json!(1));

    let rule = "rule add listed --action block --match @feed";
    let start = Instant::now();
    let deployed = deploy(&daemon, rule)?;
    eprintln!("deployed in {:.1?}", start.elapsed());
    assert!(deployed.changed);
    let verdicts = check(&daemon, &["158.55.121.177"])?;
    assert_eq!(verdicts[0].rules.len(), 1, "the second line: {verdicts:?}");
    Ok(())
}
