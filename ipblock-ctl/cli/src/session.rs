//! The common state of every command that talks to the daemon.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use ipblock_api::client::Client;
use ipblock_output::{Output, View};
use ipblock_policy::{address::read_as_ipv4, exchange};
use serde::Serialize;

use super::{error::CliError, input::read_text, progress::Progress};

/// The daemon and the two streams.
pub(crate) struct Session<'a> {
    pub(crate) client: Client,
    pub(crate) output: &'a mut Output,
}

impl Session<'_> {
    /// Prints data, as [`Output::show`].
    pub(crate) fn show<T, F>(&mut self, value: &T, human: F) -> Result<(), CliError>
    where
        T: Serialize + ?Sized,
        F: FnOnce(&T, &View) -> String,
    {
        Ok(self.output.show(value, human)?)
    }

    /// Waits for the daemon. A terminal shows `what` if that takes long.
    pub(crate) async fn wait<T>(&self, what: &str, answer: impl Future<Output = T>) -> T {
        let _progress = Progress::spinner(self.output, what);
        answer.await
    }

    /// Reports which of these addresses are read as IPv4.
    pub(crate) fn note_mapped<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>) {
        let texts = texts.into_iter().map(String::as_str);
        if let Some(remark) = read_as_ipv4(texts) {
            self.note(&remark);
        }
    }

    /// Prints the next step, only for people.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.output.is_json() {
            self.output.note(text);
        }
    }
}

/// Whether there is a person to ask.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns the text of a ruleset file as TOML, and its name for messages. The file may also be JSON
/// from `export --format json`.
pub(crate) fn read_ruleset(path: &Path) -> Result<(String, String), CliError> {
    let (text, name) = read_text(path)?;
    // A TOML document cannot begin with a brace.
    if !text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
    {
        return Ok((text, name));
    }
    match exchange::ruleset_toml(&text) {
        Ok(toml) => Ok((toml, format!("{name} (as TOML)"))),
        Err(problem) => Err(CliError::Usage {
            message: format!("{name}: no ruleset in JSON: {problem}"),
            hint: "write what `ipblock-ctl export --format json` prints, or TOML".to_owned(),
        }),
    }
}
