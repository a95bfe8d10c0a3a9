//! All figures of one run, and their JSON.

use serde_json::{Value, json};

use crate::judging::{
    Family, case::Times, statistics::Quartiles, traffic::Traffic, workload::Workload,
};

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) cases: Vec<Judged>,
    pub(crate) path: Vec<Passage>,
    pub(crate) load: Vec<Load>,
    pub(crate) ban_us: Vec<Ban>,
    pub(crate) memory: Vec<Memory>,
}

/// Nanoseconds a packet for each program.
pub(crate) struct Judged {
    pub(crate) family: Family,
    pub(crate) workload: Workload,
    pub(crate) traffic: Traffic,
    pub(crate) times: Times,
}

/// Nanoseconds a packet over veth.
pub(crate) struct Passage {
    pub(crate) filter: &'static str,
    pub(crate) traffic: Traffic,
    pub(crate) ns: Quartiles,
}

/// Seconds from the start of the command until the rules are in force.
pub(crate) struct Load {
    pub(crate) workload: &'static str,
    pub(crate) entries: u64,
    pub(crate) seconds: Quartiles,
}

/// Microseconds for one ban.
pub(crate) struct Ban {
    /// Bans that are there.
    pub(crate) entries: u32,
    /// In the kernel's tables alone.
    pub(crate) us: Quartiles,
    /// Through the API, on disk and in force.
    pub(crate) api_us: Quartiles,
}

/// What is in use while a workload is in force.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) workload: &'static str,
    pub(crate) kernel_mib: f64,
    pub(crate) rss_mib: f64,
}

impl Report {
    /// In the shape that scripts rely on.
    pub(crate) fn json(&self) -> Value {
        json!({
            "cases": self.cases.iter().map(Judged::json).collect::<Vec<_>>(),
            "path": self.path.iter().map(|passage| json!({
                "filter": passage.filter,
                "traffic": passage.traffic.name(),
                "ns": rounded(passage.ns.median),
            })).collect::<Vec<_>>(),
            "load": self.load.iter().map(|load| json!({
                "workload": load.workload,
                "seconds": (load.seconds.median * 1000.0).round() / 1000.0,
            })).collect::<Vec<_>>(),
            "ban_us": self.ban_us.iter().map(|ban| json!({
                "entries": ban.entries,
                "median": rounded(ban.us.median),
                "api_median": rounded(ban.api_us.median),
            })).collect::<Vec<_>>(),
            "memory": self.memory.iter().map(|memory| json!({
                "workload": memory.workload,
                "kernel_mib": rounded(memory.kernel_mib),
                "rss_mib": rounded(memory.rss_mib),
            })).collect::<Vec<_>>(),
        })
    }
}

impl Judged {
    fn json(&self) -> Value {
        let median = |values: &[f64]| rounded(Quartiles::of(values).median);
        json!({
            "family": self.family.number(),
            "workload": self.workload.name(),
            "traffic": self.traffic.name(),
            "empty_ns": median(&self.times.empty),
            "hash_ns": self.times.hash.as_deref().map(median),
            "lpm_ns": median(&self.times.lpm),
            "ipblock_ns": median(&self.times.ipblock),
        })
    }
}

impl Memory {
    /// The worse of two runs.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            workload: self.workload,
            kernel_mib: self.kernel_mib.max(other.kernel_mib),
            rss_mib: self.rss_mib.max(other.rss_mib),
        }
    }
}

/// To a tenth: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
