//! Prints how long a large ruleset takes to compile and what comes out:
//! `cargo run --release -p ipblock-ctl --example compile_time [PREFIXES]`.

use std::time::Instant;

use anyhow::Context as _;
use ipblock::policy::{
    Action, At, Element, Rule, RuleId, Ruleset, Shared, ZoneName, compile::compile,
    diff::diff_addresses, explain::Explainer, lint::lint,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;

const RULES: u64 = 10;
const PREFIXES: u64 = 1_000_000;
/// One prefix in so many is an exception, and one is IPv6.
const EXCEPTIONS: u64 = 20;
const IPV6: u64 = 10;

#[expect(clippy::print_stdout, reason = "an example prints what it found")]
fn main() -> anyhow::Result<()> {
    let prefixes = match std::env::args().nth(1) {
        Some(text) => text.parse().context("PREFIXES is a number")?,
        None => PREFIXES,
    };
    let ruleset = random_ruleset(prefixes)?;
    let (zone, now) = (ZoneName::default(), Timestamp::UNIX_EPOCH);

    let start = Instant::now();
    let compiled = compile(&ruleset, &zone, now)?;
    println!(
        "compile: {prefixes} prefixes in {RULES} rules, {:.2?}: {} entries, {} classes",
        start.elapsed(),
        compiled.entry_count(),
        compiled.classes.len()
    );

    let start = Instant::now();
    let explainer = Explainer::new(&ruleset, &zone, now);
    println!("index for explain: {:.2?}", start.elapsed());

    let addresses: Vec<_> = compiled.ipv4.iter().take(100_000).collect();
    let start = Instant::now();
    let found = addresses
        .iter()
        .filter(|(net, _)| compiled.lookup(net.network().into()) != 0);
    println!(
        "lookup: {} addresses, {:.2?}",
        found.count(),
        start.elapsed()
    );
    let start = Instant::now();
    let found = addresses
        .iter()
        .map(|(net, _)| explainer.explain(net.network().into()).rules.len());
    println!(
        "explain: {} matches, {:.2?}",
        found.sum::<usize>(),
        start.elapsed()
    );

    let start = Instant::now();
    let nothing = compile(&Ruleset::default(), &zone, now)?;
    let changed = diff_addresses(&[(&nothing, &compiled)]);
    println!(
        "diff: {} newly blocked, {:.2?}",
        changed.newly_blocked,
        start.elapsed()
    );

    let start = Instant::now();
    println!(
        "lint: {} warnings, {:.2?}",
        lint(&ruleset).len(),
        start.elapsed()
    );
    Ok(())
}

fn random_ruleset(prefixes: u64) -> anyhow::Result<Ruleset> {
    let mut ruleset = Ruleset::default();
    for id in 1..=RULES {
        ruleset.rules.push(Rule {
            id: RuleId(id),
            name: format!("r{id}").parse()?,
            action: if id % 2 == 0 {
                Action::Block
            } else {
                Action::Warn
            },
            matches: Shared::default(),
            except: Shared::default(),
            expires: (id % 3 == 0)
                .then(|| Timestamp::from_second(i64::try_from(id)?).map_err(anyhow::Error::from))
                .transpose()?,
            note: String::new(),
            enabled: true,
            alert: false,
            zones: Vec::new(),
        });
    }
    // SplitMix64: random enough, and the same in every run.
    let mut seed = 0_u64;
    let mut random = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for index in 0..prefixes {
        let length = u8::try_from(16 + random() % 17)?;
        let address = random();
        let net: IpNet = if index % IPV6 == 0 {
            let bits = 0x2001_0db8_u128 << 96 | u128::from(address) << 32;
            Ipv6Net::new(bits.into(), 32 + length)?.trunc().into()
        } else {
            let bits = u32::try_from(address >> 32)?;
            Ipv4Net::new(bits.into(), length)?.trunc().into()
        };
        let rule = usize::try_from(random() % RULES)?;
        let rule = ruleset.rules.get_mut(rule).context("a rule")?;
        let elements = if random() % EXCEPTIONS == 0 {
            &mut rule.except
        } else {
            &mut rule.matches
        };
        elements.push(Element {
            at: At::Prefix(net),
            note: "".into(),
        });
    }
    Ok(ruleset)
}
