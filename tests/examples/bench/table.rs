//! The figures as text of at most 80 columns: medians, their spread, ratios, and missed targets.

use std::fmt::Write as _;

use crate::{
    judging::{statistics::Quartiles, traffic::Traffic},
    report::{Judged, Passage, Report},
    targets,
};

/// The mark after a figure that misses its target.
const SHORT: &str = " !";

pub(crate) fn of(report: &Report) -> String {
    let sections = [
        cases(&report.cases),
        path(&report.path),
        load(report),
        bans(report),
        memory(report),
    ];
    let mut text = sections.concat();
    if !text.is_empty() {
        if !text.ends_with("\n\n") {
            text.push('\n');
        }
        text.push_str("± half the distance between the quartiles\n");
    }
    if text.contains(SHORT) {
        text.push_str("! misses its target\n");
    }
    text
}

/// Joined columns; writing to a string cannot fail, so nothing is lost.
fn row(text: &mut String, cells: std::fmt::Arguments<'_>) {
    writeln!(text, "{}", cells.to_string().trim_end()).ok();
}

fn cases(cases: &[Judged]) -> String {
    if cases.is_empty() {
        return String::new();
    }
    let mut text = String::from("ns a packet, and how many times faster\n\n");
    row(
        &mut text,
        format_args!(
            "{:<21} {:>5} {:>10} {:>10} {:>10} {:>7}   {:>6}",
            "workload", "empty", "hash", "lpm", "ipblock", "/lpm", "/hash"
        ),
    );
    for judged in cases {
        let name = format!(
            "v{} {} {}",
            judged.family.number(),
            judged.workload.name(),
            judged.traffic.name()
        );
        let times = &judged.times;
        let hash = times.hash.as_deref().map_or("-".to_owned(), cell);
        let to_lpm = ratio(&times.lpm, &times.ipblock);
        let wanted = targets::times_faster(judged.workload, judged.traffic);
        let to_lpm = marked(to_lpm, wanted);
        let to_hash = times.hash.as_deref().map_or_else(String::new, |hash| {
            marked(ratio(hash, &times.ipblock), targets::TIMES_FASTER_THAN_HASH)
        });
        row(
            &mut text,
            format_args!(
                "{name:<22} {:>4.0} {hash:>10} {:>10} {:>10} {to_lpm:>9} {to_hash:>8}",
                Quartiles::of(&times.empty).median,
                cell(&times.lpm),
                cell(&times.ipblock),
            ),
        );
    }
    text.push('\n');
    text
}

fn path(path: &[Passage]) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut text =
        String::from("ns of CPU a frame over veth, sending and receiving, 100,000 IPv4 hosts\n\n");
    row(
        &mut text,
        format_args!(
            "{:<14} {:>12} {:>7}   {:>12} {:>7}",
            "filter", "clean", "x pass", "attack", "x drop"
        ),
    );
    let median_of = |filter, traffic| {
        let found = path
            .iter()
            .find(|passage| passage.filter == filter && passage.traffic == traffic);
        found.map(|passage| passage.ns)
    };
    let mut filters: Vec<_> = path.iter().map(|passage| passage.filter).collect();
    filters.dedup();
    for filter in filters {
        let columns = |traffic, base, limit| {
            let Some(own) = median_of(filter, traffic) else {
                return ("-".to_owned(), String::new());
            };
            let times = median_of(base, traffic).map(|base| own.median / base.median);
            let times = times.map_or_else(String::new, |times| {
                let short = filter == "ipblock" && times > limit;
                format!("{times:.2}{}", if short { SHORT } else { "  " })
            });
            (spread(own), times)
        };
        let (clean, to_pass) = columns(Traffic::Clean, "xdp-pass", targets::OVER_EMPTY_PASS);
        let (attack, to_drop) = columns(Traffic::Attack, "xdp-drop", targets::OVER_EMPTY_DROP);
        row(
            &mut text,
            format_args!("{filter:<14} {clean:>12} {to_pass:>9} {attack:>12} {to_drop:>9}"),
        );
    }
    text.push('\n');
    text
}

fn load(report: &Report) -> String {
    let mut text = String::new();
    for load in &report.load {
        let Quartiles { low, median, high } = load.seconds;
        // A quick run has only one.
        let half = (high > low).then(|| format!(" ±{:.2}", (high - low) / 2.0));
        let limit = targets::seconds(load.workload).unwrap_or(f64::INFINITY);
        row(
            &mut text,
            format_args!(
                "load    {:<18} {:>9} entries, in force after {median:.2}{} s{}",
                load.workload,
                load.entries,
                half.unwrap_or_default(),
                over(median, limit)
            ),
        );
    }
    text
}

fn bans(report: &Report) -> String {
    let mut text = String::new();
    for ban in &report.ban_us {
        row(
            &mut text,
            format_args!(
                "ban     on top of {:>9}: kernel {} us{}, by the API {} us",
                ban.entries,
                spread(ban.us),
                over(ban.us.median, targets::BAN_US),
                spread(ban.api_us)
            ),
        );
    }
    text
}

fn memory(report: &Report) -> String {
    let mut text = String::new();
    for memory in &report.memory {
        row(
            &mut text,
            format_args!(
                "memory  {:<18} kernel {:.0} MiB{}, daemon at its peak {:.0} MiB{}",
                memory.workload,
                memory.kernel_mib,
                over(memory.kernel_mib, targets::KERNEL_MIB),
                memory.rss_mib,
                over(memory.rss_mib, targets::RSS_MIB)
            ),
        );
    }
    text
}

/// Returns the ratio per round, so that a slow round affects both.
pub(crate) fn ratio(slow: &[f64], fast: &[f64]) -> f64 {
    let ratios: Vec<f64> = slow
        .iter()
        .zip(fast)
        .map(|(slow, fast)| slow / fast)
        .collect();
    Quartiles::of(&ratios).median
}

fn marked(ratio: f64, wanted: f64) -> String {
    let short = if ratio < wanted { SHORT } else { "  " };
    format!("{ratio:.1}{short}")
}

fn over(value: f64, limit: f64) -> &'static str {
    if value > limit { SHORT } else { "" }
}

fn cell(values: &[f64]) -> String {
    spread(Quartiles::of(values))
}

fn spread(Quartiles { low, median, high }: Quartiles) -> String {
    let digits = usize::from(median < 10.0);
    format!("{median:.digits$} ±{:.digits$}", (high - low) / 2.0)
}
