//! Runs `ipblock-ctl` with the daemon of a test.

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{DEADLINE, Daemon, wait_for};

/// The result of `ipblock-ctl`.
#[derive(Debug)]
pub struct CtlOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code.
    pub code: i32,
}

impl CtlOutput {
    /// Standard output, when it succeeded.
    pub fn ok(self) -> anyhow::Result<String> {
        ensure!(
            self.code == 0,
            "ipblock-ctl: exit code {}\nstdout: {}\nstderr: {}",
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }
}

/// Arguments of a command: a line of words without quotes, or a list where one has a space.
pub trait Arguments {
    /// Each of them.
    fn list(&self) -> Vec<OsString>;
}

impl Arguments for str {
    fn list(&self) -> Vec<OsString> {
        self.split_whitespace().map(OsString::from).collect()
    }
}

impl Arguments for String {
    fn list(&self) -> Vec<OsString> {
        self.as_str().list()
    }
}

impl<S: AsRef<OsStr>> Arguments for [S] {
    fn list(&self) -> Vec<OsString> {
        self.iter().map(OsString::from).collect()
    }
}

impl<S: AsRef<OsStr>, const N: usize> Arguments for [S; N] {
    fn list(&self) -> Vec<OsString> {
        self.as_slice().list()
    }
}

impl<S: AsRef<OsStr>> Arguments for Vec<S> {
    fn list(&self) -> Vec<OsString> {
        self.as_slice().list()
    }
}

impl<A: Arguments + ?Sized> Arguments for &A {
    fn list(&self) -> Vec<OsString> {
        (**self).list()
    }
}

impl Daemon {
    /// Runs `ipblock-ctl`. Removes environment variables that would influence it.
    pub fn ctl(&self, arguments: impl Arguments) -> anyhow::Result<CtlOutput> {
        self.ctl_with_input(arguments, "")
    }

    /// As [`Daemon::ctl`], with this on standard input.
    pub fn ctl_with_input(
        &self,
        arguments: impl Arguments,
        input: &str,
    ) -> anyhow::Result<CtlOutput> {
        self.ctl_through(&[], arguments, input)
    }

    /// As [`Daemon::ctl_with_input`], started by another program: `launcher` is that program with
    /// its arguments. No SSH session is reported unless the launcher restores the variables that
    /// are removed here: `IPBLOCK_SSH_PEER` is `none`.
    pub fn ctl_through(
        &self,
        launcher: &[&str],
        arguments: impl Arguments,
        input: &str,
    ) -> anyhow::Result<CtlOutput> {
        let mut child = self
            .ctl_command(launcher, arguments)
            .spawn()
            .context("start ipblock-ctl")?;
        let stdin = child.stdin.take();
        let output = thread::scope(|scope| {
            scope.spawn(move || {
                // A command that does not read its input may close the pipe.
                stdin.map(|mut stdin| stdin.write_all(input.as_bytes()))
            });
            child.wait_with_output()
        })?;
        let code = match (output.status.code(), output.status.signal()) {
            (Some(code), _) => code,
            (None, signal) => bail!("ipblock-ctl ended by signal {signal:?}"),
        };
        Ok(CtlOutput {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code,
        })
    }

    /// `ipblock-ctl` against it, with pipes, not started yet. See [`Daemon::ctl_through`].
    pub fn ctl_command(&self, launcher: &[&str], arguments: impl Arguments) -> Command {
        let mut command = match launcher {
            [] => Command::new(self.ctl_program()),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(self.ctl_program());
                command
            }
        };
        command
            .arg("--socket")
            .arg(self.socket())
            .args(arguments.list())
            .env_remove("IPBLOCK_SOCKET")
            .env_remove("SSH_CONNECTION")
            .env_remove("SSH_CLIENT")
            .env_remove("SUDO_USER")
            .env("IPBLOCK_SSH_PEER", "none")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `ipblock-ctl --json`, which must succeed, and parses what it prints.
    pub fn ctl_json(&self, arguments: impl Arguments) -> anyhow::Result<Value> {
        let mut with_json = vec![OsString::from("--json")];
        with_json.extend(arguments.list());
        let stdout = self.ctl(&with_json)?.ok()?;
        serde_json::from_str(&stdout)
            .with_context(|| format!("ipblock-ctl {with_json:?} printed {stdout:?}"))
    }

    /// Polls `ipblock-ctl --json ARGUMENTS` until `found` yields something.
    pub fn wait_for_json<T>(
        &self,
        arguments: impl Arguments,
        what: &str,
        mut found: impl FnMut(&Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        let arguments = arguments.list();
        let mut last = None;
        wait_for(DEADLINE, what, || {
            last = Some(self.ctl_json(&arguments));
            last.as_ref()?.as_ref().ok().and_then(&mut found)
        })
        .with_context(|| format!("ipblock-ctl {arguments:?} said last: {last:?}"))
    }
}
