//! `ipblock-ctl` on a terminal, with the fake daemon. Problems with the terminal are panics.

use std::{
    ffi::{OsStr, OsString},
    process::Command,
};

use ipblock_tests::Arguments;
pub(crate) use ipblock_tests::{Ended, Size};
use nix::sys::signal::Signal;

use crate::fake_daemon::FakeDaemon;

pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";

/// A command that runs on its own terminal.
pub(crate) struct Terminal(ipblock_tests::Terminal);

impl Terminal {
    /// Runs `ipblock-ctl` with this daemon, in the foreground of a terminal of 80x24.
    pub(crate) fn run(daemon: &FakeDaemon, arguments: impl Arguments) -> Self {
        Self::run_with(daemon, arguments, &[])
    }

    /// As [`Self::run`], with additional environment variables.
    pub(crate) fn run_with(
        daemon: &FakeDaemon,
        arguments: impl Arguments,
        environment: &[(&str, &OsStr)],
    ) -> Self {
        Self::sized(Size::USUAL, daemon, arguments, environment)
    }

    /// As [`Self::run`], on a terminal with another size.
    pub(crate) fn sized(
        size: Size,
        daemon: &FakeDaemon,
        arguments: impl Arguments,
        environment: &[(&str, &OsStr)],
    ) -> Self {
        let mut command = vec![OsStr::new(env!("CARGO_BIN_EXE_ipblock-ctl"))];
        let arguments = arguments.list();
        command.extend(arguments.iter().map(OsString::as_os_str));
        let socket = daemon.socket();
        let mut environment = environment.to_vec();
        environment.insert(0, ("IPBLOCK_SOCKET", socket.as_os_str()));
        Self::of(size, &command, &environment)
    }

    /// Runs any command.
    pub(crate) fn of(size: Size, command: &[&OsStr], environment: &[(&str, &OsStr)]) -> Self {
        let (program, arguments) = command.split_first().expect("a program");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove("NO_COLOR")
            .env_remove("VISUAL")
            .env_remove("EDITOR")
            .env("IPBLOCK_SSH_PEER", "none")
            .envs(environment.iter().copied());
        Self(ipblock_tests::Terminal::start(&command, size).expect("a terminal"))
    }

    /// Waits until the screen ends with `question`, and types `keys`.
    ///
    /// Returns when the screen has changed, because the same question may follow.
    pub(crate) fn answer(&mut self, question: &str, keys: &str) {
        self.0.answer(question, keys).expect("an answer");
    }

    /// Types keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.0.press(keys).expect("typed");
    }

    /// Waits until the screen matches, and returns it.
    pub(crate) fn wait_for(&mut self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        self.0.wait_for(what, is_there).expect("the screen")
    }

    /// Waits until the screen shows this text.
    pub(crate) fn wait_for_text(&mut self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// Sends a signal to the command.
    pub(crate) fn signal(&self, signal: Signal) {
        self.0.signal(signal).expect("a signal");
    }

    /// Whether the command uses the alternate screen, and whether the cursor is hidden.
    pub(crate) fn is_taken(&self) -> (bool, bool) {
        self.0.is_taken()
    }

    /// Waits until the command has ended.
    pub(crate) fn end(self) -> Ended {
        self.0.end().expect("an end")
    }
}
