//! docs/operations.md is correct: every command in it is run unchanged, in the order of the page,
//! with one daemon, and its claims about packets are checked with real ones.
//!
//! [`page`](ipblock_tests::page) documents the blocks. The host's interface is `eth0` (192.0.2.1),
//! its peer is 192.0.2.2, which is the source of the operator's SSH session. The scripts run in the
//! host's network namespace, in a directory whose `lists` is the daemon's lists directory.
//! `systemctl` is a substitute that stops, starts and signals the daemon. To see the output of
//! every command on the page: `cargo test -p ipblock-tests --test operations -- --nocapture`.
#![cfg(test)]

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use ipblock_tests::{
    DEADLINE, Daemon, FrameReceiver, FrameSender, Privileged, VethOptions, VethPair, binaries,
    packet::{Frame, Ipv4, Ipv6, Payload},
    page::{Claim, Script, scripts},
    require_privileged, wait_for,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const PAGE: &str = include_str!("../../docs/operations.md");
const NAME: &str = "docs/operations.md";

/// The command for claims; see [`ASK`].
const PACKETS: &str = "packets-are";
/// A command that queries this test: it records its arguments and waits for the answer, whose first
/// line is the exit code.
const ASK: &str = r#"#!/bin/sh
set -eu
echo "${0##*/} $*" > "$OPERATIONS/asking"
mv "$OPERATIONS/asking" "$OPERATIONS/question"
while [ ! -e "$OPERATIONS/answer" ]; do sleep 0.01; done
{ read -r code; cat >&2; } < "$OPERATIONS/answer"
rm "$OPERATIONS/answer"
exit "$code"
"#;
/// No block of the page takes longer.
const LONGEST: Duration = Duration::from_mins(1);

#[test]
fn every_command_of_the_operations_page_does_what_the_page_says() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scripts = scripts(PAGE).context(NAME)?;
    ensure!(!scripts.is_empty(), "{NAME}: no commands");
    let mut stage = Stage::new(root)?;
    for script in &scripts {
        // A panic, so that the daemon's log is shown.
        stage
            .play(script)
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
    Ok(())
}

/// The stage of the page. Fields are dropped in this order.
struct Stage {
    daemon: Daemon,
    sender: FrameSender,
    receiver: FrameReceiver,
    pair: VethPair,
    /// Where the operator works.
    desk: TempDir,
    /// Substitutes for commands, questions and answers.
    props: TempDir,
    sent: u64,
}

impl Stage {
    fn new(root: Privileged) -> anyhow::Result<Self> {
        let options = VethOptions {
            host_interface: Some("eth0"),
            ..VethOptions::default()
        };
        let pair = VethPair::new(root, options)?;
        let (desk, props) = (TempDir::new()?, TempDir::new()?);
        let lists = desk.path().join("lists");
        fs::create_dir(&lists)?;
        for name in [PACKETS, "systemctl"] {
            let path = props.path().join(name);
            fs::write(&path, ASK)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        let daemon = Daemon::in_netns(root, &pair.host.netns)
            .config(format!("lists_dir = {:?}\n", lists.display().to_string()))
            .start()?;
        Ok(Self {
            daemon,
            sender: pair.sender()?,
            receiver: pair.receiver()?,
            pair,
            desk,
            props,
            sent: 0,
        })
    }

    /// Runs a script and compares.
    fn play(&mut self, script: &Script) -> anyhow::Result<()> {
        let (code, output) = self.run(script)?;
        // For the author of the page.
        print!("{script}{output}");
        let said = || format!("{script}\nexit code {code}, output:\n{output}");
        ensure!(
            code == script.exit,
            "{NAME}:{}: exit code {code} instead of {}\n{}",
            script.line,
            script.exit,
            said()
        );
        if let Some(missing) = script.missing_in(&output) {
            bail!(
                "{NAME}:{}: the output of line {} does not have, in order: {}\n{}",
                missing.line,
                script.line,
                missing.text,
                said()
            );
        }
        Ok(())
    }

    /// Returns its exit code, and its combined output.
    fn run(&mut self, script: &Script) -> anyhow::Result<(i32, String)> {
        let output = self.props.path().join("output");
        let file = File::create(&output)?;
        let mut child = self.shell(script, &file)?;
        let what = format!("the commands of {NAME}:{} to end", script.line);
        let status = wait_for(LONGEST, &what, || {
            if let Err(error) = self.answer() {
                return Some(Err(error));
            }
            child.try_wait().map_err(anyhow::Error::from).transpose()
        })
        .and_then(|status| status);
        if status.is_err() {
            child.kill()?;
            child.wait()?;
        }
        let output = fs::read(&output)?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let status = status.with_context(|| format!("{script}\noutput:\n{output}"))?;
        let code = status
            .code()
            .with_context(|| format!("{NAME}:{}: {status}", script.line))?;
        Ok((code, output))
    }

    fn shell(&self, script: &Script, output: &File) -> anyhow::Result<Child> {
        let programs = binaries().ipblock_ctl.parent().context("no directory")?;
        let path = env::var_os("PATH").unwrap_or_default();
        let path = [self.props.path(), programs]
            .into_iter()
            .map(Path::to_owned)
            .chain(env::split_paths(&path));
        let child = self
            .pair
            .host
            .netns
            .command("sh")
            .args(["-eu", "-c", &script.with_claims_as(PACKETS)])
            .current_dir(self.desk.path())
            .env("PATH", env::join_paths(path)?)
            .env("OPERATIONS", self.props.path())
            .env("IPBLOCK_SOCKET", self.daemon.socket())
            .env("IPBLOCK_BPFFS", self.daemon.bpffs())
            .env("SSH_CONNECTION", "192.0.2.2 50022 192.0.2.1 22")
            .env("TMPDIR", self.props.path())
            .env("TZ", "UTC")
            // The page shows the output on a terminal.
            .env("IPBLOCK_COLUMNS", "80")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("SSH_CLIENT")
            .env_remove("IPBLOCK_SSH_PEER")
            .env_remove("EDITOR")
            .env_remove("VISUAL")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .spawn()?;
        Ok(child)
    }

    /// Answers a waiting command, if there is one.
    fn answer(&mut self) -> anyhow::Result<()> {
        let at = |name| self.props.path().join(name);
        let (question, answering, answer) = (at("question"), at("answering"), at("answer"));
        let Ok(asked) = fs::read_to_string(&question) else {
            return Ok(());
        };
        fs::remove_file(&question)?;
        let text = match self.do_as_asked(&asked) {
            Ok(()) => "0\n".to_owned(),
            Err(error) => format!("1\n{}: {error:#}\n", asked.trim_end()),
        };
        fs::write(&answering, text)?;
        Ok(fs::rename(answering, answer)?)
    }

    fn do_as_asked(&mut self, asked: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = asked.split_whitespace().collect();
        match words.as_slice() {
            [PACKETS, claim, sources @ ..] => {
                let claim = Claim::of_word(claim).context("no such claim")?;
                ensure!(!sources.is_empty(), "no address");
                sources
                    .iter()
                    .try_for_each(|source| self.hold(claim, source))
            }
            ["systemctl", "stop", "ipblockd"] => self.daemon.terminate().map(drop),
            ["systemctl", "start", "ipblockd"] => self.daemon.start(),
            ["systemctl", "restart", "ipblockd"] => self.daemon.restart(),
            ["systemctl", "kill", "--signal=KILL", "ipblockd"] => self.daemon.kill(),
            ["systemctl", "kill", "--signal=HUP", "ipblockd"] => {
                let pid = self.daemon.pid().context("the daemon does not run")?;
                Ok(kill(Pid::from_raw(pid.try_into()?), Signal::SIGHUP)?)
            }
            _ => bail!("the page's test knows no such command"),
        }
    }

    /// Sends a packet and checks the claim.
    fn hold(&mut self, claim: Claim, source: &str) -> anyhow::Result<()> {
        let mut holds = || anyhow::Ok(self.arrives(source)? == claim.arrives());
        let held = match claim {
            Claim::Dropped | Claim::Passes => holds()?,
            Claim::SoonDropped | Claim::SoonPasses => {
                wait_for(DEADLINE, claim.word(), || match holds() {
                    Ok(false) => None,
                    other => Some(other),
                })??
            }
        };
        ensure!(
            held,
            "a packet from {source} {}",
            if claim.arrives() {
                "was dropped"
            } else {
                "passed"
            }
        );
        Ok(())
    }

    /// Whether one packet from there passes the filter. A second packet that always passes proves
    /// that it has been judged.
    fn arrives(&mut self, source: &str) -> anyhow::Result<bool> {
        /// Local experimental `EtherType` 1, IEEE 802.
        const NO_IP: u16 = 0x88b5;
        let marker = self.sent;
        self.sent += 2;
        self.sender.send(&frame(source, marker)?)?;
        let behind = Frame::of_type(NO_IP, &[]).marked(marker + 1).padded(60);
        self.sender.send(&behind)?;
        self.receiver.wait_for_count(marker + 1, 1, DEADLINE)?;
        Ok(self.receiver.count(marker) > 0)
    }
}

/// A packet from an address; or what keeps a host on its network.
fn frame(source: &str, marker: u64) -> anyhow::Result<Frame> {
    const ARP: u16 = 0x0806;
    const NEIGHBOUR_SOLICITATION: u8 = 135;
    let datagram = Payload::udp(5000, 53).marked(marker);
    Ok(match source {
        "arp" => Frame::of_type(ARP, &[0; 28]).marked(marker),
        "nd" => {
            let payload = Payload::icmpv6(NEIGHBOUR_SOLICITATION).marked(marker);
            Frame::carrying(&Ipv6::from("fe80::7").hop_limit(255).with(payload))
        }
        "dhcp" => {
            let payload = Payload::udp(67, 68).marked(marker);
            Frame::carrying(&Ipv4::from("198.51.100.254").with(payload))
        }
        _ => match source.parse()? {
            std::net::IpAddr::V4(source) => {
                Frame::carrying(&Ipv4::from_source(source).with(datagram))
            }
            std::net::IpAddr::V6(source) => {
                Frame::carrying(&Ipv6::from_source(source).with(datagram))
            }
        },
    })
}
