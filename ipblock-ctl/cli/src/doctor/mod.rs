//! `doctor`: searches for problems on this host, and changes nothing.

mod capacity;
mod clock;
mod devices;
mod features;
mod host;
mod interfaces;

use std::path::{Path, PathBuf};

use clap::Args;
use ipblock_api::{
    client::{ClientError, DEFAULT_SOCKET},
    types::Status,
};
use ipblock_datapath::{PinDirectory, inspect};
use ipblock_output::doctor::{Finding, FindingState, render};
use ipblock_policy::Hinted;

use super::{
    bpffs::BpffsOption,
    error::{CliError, FAILED, OK},
    session::Session,
};

/// Check this host
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
    let status = session.client.status().await;
    let socket = session.client.socket();
    let told = status.as_ref().ok().map(|status| status.bpffs.as_str());
    let bpffs = place(&args.place, told, socket);
    let mut findings = host(bpffs.as_deref());
    findings.extend(daemon(status, socket, bpffs.as_deref()));
    session.show(&findings, |findings, view| render(findings, view))?;
    let broken = findings
        .iter()
        .any(|finding| finding.state == FindingState::Error);
    Ok(if broken { FAILED } else { OK })
}

/// Returns the place of the daemon's pins: from the option, from the daemon, or where a filter is
/// pinned. If the daemon of another socket does not answer, its pins are unknown: another daemon's
/// pins do not count.
fn place(option: &BpffsOption, told: Option<&str>, socket: &Path) -> Option<PathBuf> {
    // Empty: an older daemon that does not report it.
    let told = told.filter(|told| !told.is_empty());
    option
        .named()
        .or_else(|| told.map(PathBuf::from))
        .or_else(|| (socket == Path::new(DEFAULT_SOCKET)).then(|| option.place()))
}

/// Returns the findings without the daemon, in the order of the output.
fn host(bpffs: Option<&Path>) -> Vec<Finding> {
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

fn daemon(
    status: Result<Status, ClientError>,
    socket: &Path,
    bpffs: Option<&Path>,
) -> Vec<Finding> {
    let socket = socket.display();
    let status = match status {
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
    findings.extend(capacity::capacity(&status));
    // Only root can see the maps.
    let maps = bpffs.and_then(|bpffs| {
        let pins = PinDirectory::at(bpffs).ok()?;
        inspect::generations_bytes(&pins).ok()
    });
    findings.extend(capacity::memory(&status, maps));
    findings
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        place: BpffsOption,
    }

    fn option(words: &[&str]) -> BpffsOption {
        let words = ["doctor"].iter().chain(words);
        Line::try_parse_from(words).expect("options").place
    }

    #[test]
    fn the_bpffs_is_the_one_of_the_daemon_that_was_asked() {
        let told = Some("/run/other");
        let socket = Path::new("/run/other.sock");
        let named = place(&option(&["--bpffs", "/x"]), told, socket);
        assert_eq!(named, Some("/x".into()));
        let asked = place(&option(&[]), told, socket);
        assert_eq!(asked, told.map(PathBuf::from));
    }

    #[test]
    fn what_another_daemon_pins_is_not_looked_at() {
        assert_eq!(
            place(&option(&[]), None, Path::new("/run/other.sock")),
            None
        );
        assert!(place(&option(&[]), None, Path::new(DEFAULT_SOCKET)).is_some());
        let findings = host::bpffs(None);
        assert!(findings[0].detail.starts_with("not looked at"));
        assert!(
            findings[0]
                .advice
                .as_ref()
                .expect("advice")
                .contains("--bpffs")
        );
    }
}
