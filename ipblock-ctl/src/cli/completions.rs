//! `completions`.

use clap::Args;
use clap_complete::Shell;

use super::{
    command,
    error::{CliError, OK},
};
use crate::output::Output;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl completions bash > /usr/share/bash-completion/completions/ipblock-ctl
  ipblock-ctl completions zsh > /usr/share/zsh/site-functions/_ipblock-ctl")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "ipblock-ctl", &mut script);
    output.raw(&script)?;
    Ok(OK)
}
