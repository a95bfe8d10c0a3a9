//! Nanoseconds a packet: every workload, family and traffic.

use anyhow::{Context as _, Result};
use ipblock_tests::Privileged;

use crate::{
    judging::{
        Family,
        case::{Case, Effort},
        traffic::Traffic,
        variant::Workshop,
        workload::Workload,
    },
    report::Judged,
    say,
};

/// `only` is part of the names of the workloads that are measured.
pub(crate) fn measure(root: Privileged, effort: Effort, only: &str) -> Result<Vec<Judged>> {
    let mut workshop = Workshop::new(root)?;
    let mut judged = Vec::new();
    for family in Family::BOTH {
        for workload in Workload::ALL {
            let name = format!("{}, IPv{}", workload.name(), family.number());
            if !name.contains(only) {
                continue;
            }
            say(&name);
            let case =
                Case::build(&mut workshop, family, workload).with_context(|| name.clone())?;
            let Some(case) = case else {
                say("left out: no table of countries\n\
                     hint: apt-get install tor-geoipdb");
                continue;
            };
            for traffic in Traffic::BOTH {
                let times = case
                    .measure(traffic, effort)
                    .with_context(|| format!("{name}, {} traffic", traffic.name()))?;
                judged.push(Judged {
                    family,
                    workload,
                    traffic,
                    times,
                });
            }
            workshop.clear()?;
        }
    }
    Ok(judged)
}
