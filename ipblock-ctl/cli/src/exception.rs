//! `exception list`, `exception add`, `exception edit`, `exception remove`.

use clap::{Args, Subcommand, ValueEnum};
use ipblock_api::types::{ExceptionInfo, RulesQuery};
use ipblock_output::exceptions::render;
use ipblock_policy::{RuleName, edit::Edit};

use super::{
    arguments::{Addresses, StageArgs, address, addresses, addresses_or_input, each},
    error::{CliError, OK},
    gather::each_or_input,
    session::Session,
    sort::{SortArgs, SortKey, by_address, by_state, by_text},
    stage::stage,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ExceptionCommand {
    #[command(aliases = ["ls", "show"])]
    List(ListArgs),
    Add(AddArgs),
    Edit(EditArgs),
    #[command(aliases = ["rm", "del", "delete"])]
    Remove(RemoveArgs),
}

/// List the exceptions of all rules, or of one
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this rule
    #[arg(long)]
    rule: Option<RuleName>,
    #[command(flatten)]
    order: SortArgs<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Rule,
    Address,
    Note,
    State,
}

impl SortKey for Column {
    type Row = ExceptionInfo;

    const HELP: &'static str = "Sort by this column: addresses by number, what is staged first, the \
                                others from A to Z [default: rule by rule, in the order in which \
                                they were added]";

    fn sort(self, exceptions: &mut [ExceptionInfo]) {
        match self {
            Self::Rule => exceptions.sort_by(|a, b| a.rule.cmp(&b.rule)),
            Self::Address => exceptions.sort_by_cached_key(|one| by_address(&one.address)),
            Self::Note => exceptions.sort_by_cached_key(|one| by_text(&one.note)),
            Self::State => exceptions.sort_by_key(|one| by_state(one.state)),
        }
    }
}

/// Stage addresses that a rule spares
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The rule
    rule: RuleName,
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = addresses_or_input)]
    addresses: Vec<Addresses>,
    /// Kept with each of them
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage another address in the place of one that a rule spares
///
/// Its note stays.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The rule
    rule: RuleName,
    /// What it spares: an address, prefix, range FROM-TO, or @list
    #[arg(value_parser = address)]
    old: String,
    /// What it is to spare instead
    #[arg(value_parser = address)]
    new: String,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage the removal of exceptions from a rule
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The rule
    rule: RuleName,
    /// Addresses, prefixes, ranges FROM-TO, or @lists
    #[arg(value_name = "A", required = true, value_parser = addresses)]
    addresses: Vec<Addresses>,
    #[command(flatten)]
    stage: StageArgs,
}

pub(crate) async fn run(
    command: ExceptionCommand,
    session: &mut Session<'_>,
) -> Result<u8, CliError> {
    let (edit, args) = match command {
        ExceptionCommand::List(args) => return list(&args, session).await,
        ExceptionCommand::Add(args) => {
            let edit = Edit::AddException {
                rule: args.rule.into(),
                addresses: each_or_input(args.addresses, session)?,
                note: args.note.unwrap_or_default(),
            };
            (edit, args.stage)
        }
        ExceptionCommand::Edit(args) => {
            let edit = Edit::EditException {
                rule: args.rule.into(),
                old: args.old,
                new: args.new,
            };
            (edit, args.stage)
        }
        ExceptionCommand::Remove(args) => {
            let edit = Edit::RemoveException {
                rule: args.rule.into(),
                addresses: each(args.addresses)?,
            };
            (edit, args.stage)
        }
    };
    stage(vec![edit], &args, session).await
}

async fn list(args: &ListArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut exceptions = session.client.exceptions().await?;
    if let Some(rule) = &args.rule {
        exceptions.retain(|exception| exception.rule == rule.as_str());
        if exceptions.is_empty() {
            // Distinguishes a rule without exceptions from a mistyped name.
            let query = RulesQuery { elements: Some(0) };
            session.client.rule(rule.as_str(), query).await?;
        }
    }
    args.order.apply(&mut exceptions);
    session.show(&exceptions, |exceptions, view| render(exceptions, view))?;
    Ok(OK)
}
