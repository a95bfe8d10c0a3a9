//! `man`.

use std::{fs, path::PathBuf};

use clap::Args;
use ipblock_output::Output;

use super::{
    command,
    error::{CliError, OK},
};

/// Print the manual page, or write all of them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl man | man -l -
  ipblock-ctl man --dir /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Write a page for each command into this directory, and create it if need be
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: ManArgs, output: &mut Output) -> Result<u8, CliError> {
    let Some(path) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command()).render(&mut page)?;
        output.raw(&page)?;
        return Ok(OK);
    };
    fs::create_dir_all(&path)
        .and_then(|()| clap_mangen::generate_to(command(), &path))
        .map_err(|source| CliError::File {
            verb: "write",
            path,
            source,
        })?;
    Ok(OK)
}
