//! `--extract`: shows what was found in a text and what is covered already, before anything happens.

use std::{collections::HashSet, io};

use clap::Args;
use ipblock_api::types::CheckRequest;
use ipblock_output::import::{Covered, Found, render_found};
use ipblock_policy::{Action, address::push_short, exchange::Parsed, explain::Reason};

use super::{
    capped::SHOWN,
    error::CliError,
    line_reader::{Reading, from_input},
    prompt::choose,
    session::{Session, somebody_is_there},
};

/// Maximum of addresses in one question to the daemon.
const ASKED: usize = 1_000;

/// What commands take that find addresses in text.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ExtractArgs {
    /// Find every address in any text, such as a log or a mail. Shows them and what is covered
    /// already, and acts only with --yes or after a question
    #[arg(long, help_heading = EXTRACTING)]
    pub(crate) extract: bool,
    /// Act on what --extract finds without a question
    #[arg(long, requires = "extract", help_heading = EXTRACTING)]
    pub(crate) yes: bool,
}

const EXTRACTING: &str = "Text";

/// As [`ExtractArgs`], for commands that change nothing that would need a question.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TextArgs {
    /// With -, find every address in any text, such as a log or a mail
    #[arg(long, help_heading = EXTRACTING)]
    extract: bool,
}

impl TextArgs {
    /// Returns how standard input is read.
    pub(crate) const fn reading(self) -> Reading {
        reading(self.extract)
    }

    /// Rejects the flag where addresses are arguments.
    pub(crate) fn check(self, addresses: &[String]) -> Result<(), CliError> {
        check(self.extract, addresses)
    }
}

impl ExtractArgs {
    /// Returns how standard input is read.
    pub(crate) const fn reading(self) -> Reading {
        reading(self.extract)
    }

    /// Rejects the flag where addresses are arguments.
    pub(crate) fn check(self, addresses: &[String]) -> Result<(), CliError> {
        check(self.extract, addresses)
    }
}

const fn reading(is_text: bool) -> Reading {
    if is_text {
        Reading::Text
    } else {
        Reading::Lines
    }
}

fn check(is_text: bool, addresses: &[String]) -> Result<(), CliError> {
    if !is_text || from_input(addresses)? {
        return Ok(());
    }
    Err(CliError::Usage {
        message: "--extract reads standard input".to_owned(),
        hint: "write - in the place of the addresses: ipblock-ctl ban - --extract < FILE"
            .to_owned(),
    })
}

/// Returns what was found, and what the daemon covers already.
pub(crate) async fn found(parsed: &Parsed, session: &Session<'_>) -> Result<Found, CliError> {
    let texts: Vec<String> = parsed
        .elements
        .iter()
        .map(|element| {
            let mut text = String::new();
            push_short(&mut text, element.prefix);
            text
        })
        .collect();
    let mut covered: [HashSet<String>; 3] = Default::default();
    for addresses in texts.chunks(ASKED) {
        let request = CheckRequest {
            addresses: addresses.to_vec(),
            zone: None,
        };
        let asked = session.client.check(&request);
        for check in session.wait("looking them up", asked).await? {
            let [banned, blocked, allowed] = &mut covered;
            let place = match check.reason {
                Reason::Ban => banned,
                Reason::Allow => allowed,
                _ if check.verdict.is_some_and(Action::drops) => blocked,
                _ => continue,
            };
            place.insert(check.address);
        }
    }
    let [banned, blocked, allowed] = covered.map(|set| set.len() as u64);
    Ok(Found {
        prefixes: texts,
        covered: Covered {
            banned,
            blocked,
            allowed,
        },
    })
}

/// Shows what was found. Returns whether to go on: with --yes, or after a question on a terminal.
pub(crate) fn confirmed(
    found: &Found,
    all: bool,
    is_sure: bool,
    question: &str,
    session: &mut Session<'_>,
) -> Result<bool, CliError> {
    let most = if all { u64::MAX } else { SHOWN };
    session.note(&render_found(found, most));
    if is_sure || !somebody_is_there() {
        return Ok(is_sure);
    }
    session.output.flush()?;
    let question = format!("{question} [yes/no]");
    let (mut input, mut messages) = (io::stdin().lock(), io::stderr());
    let answer = choose(&mut input, &mut messages, &question, &["yes", "no"])?;
    Ok(answer == Some("yes"))
}
