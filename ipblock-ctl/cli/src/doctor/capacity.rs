//! Capacity: how many more entries and bans are possible, and whether memory is enough for a second
//! generation in parallel with the one in force, which each deploy needs.

use std::{fs, path::Path};

use ipblock_api::types::Status;
use ipblock_output::doctor::Finding;

/// The daemon's peak memory per entry during a compilation (docs/benchmarks.md: 310 MiB for
/// 1,000,000 hosts), and the kernel's minimum.
const COMPILE_BYTES: u64 = 330;
/// Reserve: ten percent more addresses must not break a deploy.
const MARGIN_PERCENT: u64 = 125;
/// From this share on, the operator should know.
const NEARLY_FULL_PERCENT: u64 = 90;
/// The limit of `ipblockd`: docs/api.md, Bans.
const MOST_BANS: u64 = 1_000_000;

pub(super) fn capacity(status: &Status) -> Vec<Finding> {
    let mut lines: Vec<(String, u64, u64, &str)> = status
        .zones
        .iter()
        .map(|zone| {
            let used = zone.entries.ipv4 + zone.entries.ipv6;
            let what = format!("entries in zone {}", zone.name);
            let advice = "a deploy with more than that is refused: remove rules, or put networks \
                          in the place of many addresses";
            (what, used, zone.entries.capacity, advice)
        })
        .collect();
    let advice = "more are refused: give bans shorter durations, or put lasting ones into a rule";
    lines.push(("bans".to_owned(), status.bans, MOST_BANS, advice));
    let full =
        |used: u64, most: u64| used.saturating_mul(100) >= most.saturating_mul(NEARLY_FULL_PERCENT);
    let mut findings: Vec<Finding> = lines
        .iter()
        .filter(|(_, used, most, _)| full(*used, *most))
        .map(|(what, used, most, advice)| {
            Finding::warning("capacity", format!("{used} of {most} {what}"), *advice)
        })
        .collect();
    let fits: Vec<String> = lines
        .iter()
        .filter(|(_, used, most, _)| !full(*used, *most))
        .map(|(what, used, most, _)| format!("{used} of {most} {what}"))
        .collect();
    if !fits.is_empty() {
        findings.insert(0, Finding::ok("capacity", fits.join(", ")));
    }
    findings
}

/// Whether a deploy of the deployed ruleset would have enough memory. `kernel_bytes` is the size of
/// the maps of all generations, if known.
pub(super) fn memory(status: &Status, kernel_bytes: Option<u64>) -> Vec<Finding> {
    let entries: u64 = status
        .zones
        .iter()
        .map(|zone| zone.entries.ipv4 + zone.entries.ipv6)
        .sum();
    let needed = needed(entries, kernel_bytes.unwrap_or_default());
    let mut findings = Vec::new();
    let path = "/proc/meminfo";
    match fs::read_to_string(path)
        .ok()
        .and_then(|text| available(&text))
    {
        Some(available) => findings.push(judge(needed, available, None)),
        None => findings.push(Finding::warning(
            "memory",
            format!("{path} does not tell how much is available"),
            "mount /proc",
        )),
    }
    if let Some((cgroup, room)) = cgroup_room(status.pid) {
        let finding = judge(needed, room, Some(&cgroup));
        // If there is room in both the machine and its group, one line is enough.
        findings.extend(finding.advice.is_some().then_some(finding));
    }
    findings
}

fn needed(entries: u64, kernel_bytes: u64) -> u64 {
    let needed = kernel_bytes.saturating_add(entries.saturating_mul(COMPILE_BYTES));
    needed.saturating_mul(MARGIN_PERCENT) / 100
}

fn judge(needed: u64, available: u64, cgroup: Option<&str>) -> Finding {
    let (needed_text, available_text) = (mib(needed), mib(available));
    let place = cgroup.map_or_else(String::new, |cgroup| format!(" in {cgroup}"));
    let detail = format!(
        "a deploy like the last one takes up to {needed_text}, {available_text} are free{place}"
    );
    if needed <= available {
        return Finding::ok("memory", detail);
    }
    let advice = match cgroup {
        Some(_) => {
            "raise MemoryMax= of the unit (`systemctl edit ipblockd`): maps are charged to it, and a \
             deploy holds two generations"
        }
        None => {
            "free or add memory: a deploy builds a second generation beside the one in force, and \
             fails without harm when it cannot"
        }
    };
    Finding::warning("memory", detail, advice)
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Returns `MemAvailable` of /proc/meminfo in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Returns the control group of a process that has a memory limit, and its free memory. Only for
/// version 2 of control groups.
fn cgroup_room(pid: u32) -> Option<(String, u64)> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let directory = Path::new("/sys/fs/cgroup").join(group);
    let number = |file: &str| {
        let text = fs::read_to_string(directory.join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    // `max` is not a number, and not a limit.
    let most = number("memory.max")?;
    let used = number("memory.current")?;
    let statistics = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
    let room = most.saturating_sub(used.saturating_sub(cached(&statistics)));
    Some((group.to_owned(), room))
}

/// Returns the file cache of a control group, which is reclaimable.
fn cached(statistics: &str) -> u64 {
    statistics
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| matches!(*name, "active_file" | "inactive_file"))
        .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use ipblock_output::doctor::FindingState;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_available_is_read_in_bytes() {
        let text = "MemTotal:  8000 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(text), Some(2 * MIB));
        assert_eq!(available("MemTotal: 8000 kB\n"), None);
    }

    #[test]
    fn what_caches_files_is_room() {
        let text = "anon 7\nfile 900\nactive_file 300\ninactive_file 200\n";
        assert_eq!(cached(text), 500);
    }

    #[test]
    fn memory_has_to_hold_a_second_generation() {
        let needed = needed(1_000_000, 36 * MIB);
        assert_eq!(needed / MIB, 438);
        let finding = judge(needed, 600 * MIB, None);
        assert_eq!(finding.state, FindingState::Ok);
        assert_eq!(
            finding.detail,
            "a deploy like the last one takes up to 439 MiB, 600 MiB are free"
        );
        let finding = judge(needed, 400 * MIB, None);
        assert_eq!(finding.state, FindingState::Warning);
        assert!(finding.advice.unwrap().contains("second generation"));
        let finding = judge(needed, 400 * MIB, Some("system.slice/ipblockd.service"));
        assert!(finding.detail.ends_with("in system.slice/ipblockd.service"));
        assert!(finding.advice.unwrap().contains("MemoryMax="));
    }

    #[test]
    fn what_is_nearly_full_is_told_apart() {
        let zone = |name: &str, used: u64| {
            serde_json::json!({
                "name": name, "default": "pass", "generation": 1, "interfaces": [],
                "entries": {"ipv4": used, "ipv6": 0, "capacity": 4_000_000},
                "totals": ipblock_api::types::Totals::default(),
            })
        };
        let status = |zones: Vec<serde_json::Value>, bans: u64| -> Status {
            serde_json::from_value(serde_json::json!({
                "version": "0.1.0", "pid": 1, "revision": 1, "staged": 0, "confirm_deadline": null,
                "zones": zones, "bans": bans, "problems": [], "object_sha256": "",
            }))
            .unwrap()
        };
        let findings = capacity(&status(vec![zone("default", 3_600_000), zone("lan", 7)], 3));
        let told: Vec<_> = findings
            .iter()
            .map(|finding| (finding.state, finding.detail.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    FindingState::Ok,
                    "7 of 4000000 entries in zone lan, 3 of 1000000 bans"
                ),
                (
                    FindingState::Warning,
                    "3600000 of 4000000 entries in zone default"
                ),
            ]
        );
        let findings = capacity(&status(Vec::new(), 950_000));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].advice.as_ref().unwrap().contains("shorter"));
    }
}
