//! `convert`, which needs no daemon.

use clap::Args;
use ipblock_output::{
    Output,
    convert::{render, summary},
};
use ipblock_policy::address;

use super::error::{CliError, OK};

/// Convert ranges to prefixes, without a daemon
///
/// Prints the fewest prefixes that cover exactly what is given. Exactly two bare addresses are a
/// range.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl convert 192.0.2.1-192.0.2.10
  ipblock-ctl convert 192.0.2.1 192.0.2.10
  ipblock-ctl convert 2001:db8::-2001:db8::ff --json")]
pub(crate) struct ConvertArgs {
    /// FROM-TO, FROM TO, or A/LEN
    #[arg(value_name = "A", required = true)]
    addresses: Vec<String>,
}

pub(crate) fn run(args: &ConvertArgs, output: &mut Output) -> Result<u8, CliError> {
    let conversions = address::convert(&args.addresses)?;
    output.show(&conversions, |conversions, view| render(conversions, view))?;
    if output.is_json() {
        return Ok(OK);
    }
    // A closed pipe ends the command here, silently.
    output.flush()?;
    if let [only] = conversions.as_slice() {
        output.note(&summary(only));
    }
    if let Some(remark) = address::read_as_ipv4(args.addresses.iter().map(String::as_str)) {
        output.note(&remark);
    }
    Ok(OK)
}
