//! `export`.

use clap::{Args, ValueEnum};

use super::{
    error::{CliError, OK},
    session::Session,
};
use crate::api::types::{RulesetText, Which};

/// Print the ruleset as a file that `apply` reads
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The form
    #[arg(long, default_value = "toml")]
    format: Format,
    /// What is staged, instead of what is deployed
    #[arg(long)]
    staged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The ruleset file
    Toml,
}

pub(crate) async fn run(args: ExportArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let which = if args.staged {
        Which::Staged
    } else {
        Which::Deployed
    };
    let text = session.client.ruleset(which).await?;
    let print: fn(&RulesetText, &_) -> String = match args.format {
        Format::Toml => |text, _view| text.ruleset.clone(),
    };
    session.show(&text, print)?;
    Ok(OK)
}
