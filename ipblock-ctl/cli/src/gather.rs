//! Addresses of a command that stages them: its arguments, or all of standard input.

use std::io;

use super::{
    arguments::{Addresses, each},
    capped::Capped,
    error::CliError,
    line_reader::{Reading, from_input, read},
    session::Session,
};

/// Returns the addresses of arguments, or all of standard input. One line that is refused refuses all.
pub(crate) fn each_or_input(
    arguments: Vec<Addresses>,
    session: &mut Session<'_>,
) -> Result<Vec<String>, CliError> {
    let addresses = each(arguments)?;
    if !from_input(&addresses)? {
        return Ok(addresses);
    }
    let (mut addresses, mut note, mut failed) = (Vec::new(), None, None);
    let (mut refused, mut count) = (Capped::new(None), 0_u64);
    read(io::stdin().lock(), Reading::Lines, |line| {
        match line {
            Ok(Ok(line)) => {
                addresses.push(line.address);
                note = note.take().or(line.note);
            }
            Ok(Err(error)) => {
                count += 1;
                refused.report(&error, session.output);
            }
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    });
    refused.finish("were refused", session.output);
    if let Some(error) = failed {
        return Err(error);
    }
    if count > 0 {
        return Err(CliError::Usage {
            message: "standard input has lines that are refused, nothing is staged".to_owned(),
            hint: "correct them, or import the others: ipblock-ctl import - --lenient --into \
                   RULE|@LIST"
                .to_owned(),
        });
    }
    if addresses.is_empty() {
        return Err(CliError::Usage {
            message: "standard input has no address".to_owned(),
            hint: "write an address, a prefix or a range a line".to_owned(),
        });
    }
    if let Some(note) = note {
        session.note(&format!(
            "`{note}` after an address is not kept, nor are other notes: --note keeps one for all, \
             `ipblock-ctl import` keeps each"
        ));
    }
    Ok(addresses)
}
