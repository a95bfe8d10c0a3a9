//! `doctor`: looks for what stands in the way on this host, and changes nothing.

mod features;
mod host;
mod interfaces;

use super::{
    error::{CliError, FAILED, OK},
    session::Session,
};
use crate::{
    api::client::{Client, ClientError},
    output::doctor::{Finding, FindingState, render},
};

/// What is looked at without the daemon, in the order in which it is shown. Each answers with any
/// number of findings.
const HOST_CHECKS: &[fn() -> Vec<Finding>] = &[
    host::kernel,
    host::bpffs,
    host::capabilities,
    features::program,
    interfaces::programs,
];

pub(crate) async fn run(session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut findings: Vec<Finding> = HOST_CHECKS.iter().flat_map(|check| check()).collect();
    findings.extend(daemon(&session.client).await);
    session.show(&findings, |findings, view| render(findings, view))?;
    let broken = findings
        .iter()
        .any(|finding| finding.state == FindingState::Error);
    Ok(if broken { FAILED } else { OK })
}

async fn daemon(client: &Client) -> Vec<Finding> {
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
    for problem in status.problems {
        findings.push(Finding::warning(
            "daemon",
            problem,
            "see `ipblock-ctl status` and the daemon's log (journalctl -u ipblockd)",
        ));
    }
    findings
}
