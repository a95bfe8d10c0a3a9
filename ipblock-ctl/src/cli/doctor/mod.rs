//! `doctor`: looks for what stands in the way on this host, and changes nothing.

mod clock;
mod devices;
mod features;
mod host;
mod interfaces;
mod room;

use std::path::Path;

use clap::Args;

use super::{
    bpffs::BpffsOption,
    error::{CliError, FAILED, OK},
    session::Session,
};
use crate::{
    api::client::{Client, ClientError},
    datapath::{PinDirectory, inspect},
    output::doctor::{Finding, FindingState, render},
};

/// Look for what stands in the way on this host
///
/// Kernel, bpffs, capabilities, clock, interfaces and their drivers, other XDP programs, the daemon,
/// and its room. Each line is ok, a warning or an error, with what to do. Nothing is changed; root sees
/// more. Exits with 1 when there is an error.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    place: BpffsOption,
}

pub(crate) async fn run(args: &DoctorArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let bpffs = args.place.place();
    let mut findings = host(&bpffs);
    findings.extend(daemon(&session.client, &bpffs).await);
    session.show(&findings, |findings, view| render(findings, view))?;
    let broken = findings
        .iter()
        .any(|finding| finding.state == FindingState::Error);
    Ok(if broken { FAILED } else { OK })
}

/// What is looked at without the daemon, in the order in which it is shown.
fn host(bpffs: &Path) -> Vec<Finding> {
    [
        host::kernel(),
        host::jit(),
        host::bpffs(bpffs),
        host::capabilities(),
        features::program(),
        clock::clock(),
        interfaces::interfaces(bpffs),
    ]
    .concat()
}

async fn daemon(client: &Client, bpffs: &Path) -> Vec<Finding> {
    let socket = client.socket().display();
    let status = match client.status().await {
        Ok(status) => status,
        Err(error @ ClientError::NotPermitted { .. }) => {
            let advice = error.hint().unwrap_or_default();
            return vec![Finding::warning("daemon", error.to_string(), advice)];
        }
        Err(error) => {
            let advice = error.hint().unwrap_or_default();
            return vec![Finding::error("daemon", error.to_string(), advice)];
        }
    };
    let answers = format!("{} answers at {socket}, pid {}", status.version, status.pid);
    let mut findings = vec![Finding::ok("daemon", answers)];
    for problem in &status.problems {
        findings.push(Finding::warning(
            "daemon",
            problem,
            "see `ipblock-ctl status` and the daemon's log (journalctl -u ipblockd)",
        ));
    }
    findings.extend(room::capacity(&status));
    // Root alone sees the maps.
    let maps = PinDirectory::at(bpffs).and_then(|pins| inspect::generations_bytes(&pins));
    findings.extend(room::memory(&status, maps.ok()));
    findings
}
