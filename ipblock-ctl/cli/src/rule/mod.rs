//! `rule ...`: one file for each command with more than a request.

mod add;
mod edit;
mod editor;
mod list;

use clap::{Args, Subcommand};
use ipblock_api::types::RulesQuery;
use ipblock_output::rules::{SHOWN_ADDRESSES, render_rule};
use ipblock_policy::{
    Action, RuleName,
    edit::{Edit, EditRule},
};

use super::{
    arguments::StageArgs,
    error::{CliError, OK},
    session::Session,
    stage::stage,
};

#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    Add(add::AddArgs),
    #[command(alias = "ls")]
    List(list::ListArgs),
    /// Show everything about a rule
    Show {
        /// The rule
        name: RuleName,
    },
    Edit(edit::EditArgs),
    #[command(aliases = ["rm", "del", "delete"])]
    Remove(RemoveArgs),
    Promote(PromoteArgs),
}

/// Stage the removal of rules
///
/// The counters of a removed rule end with it.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The rules
    #[arg(value_name = "NAME", required = true)]
    names: Vec<RuleName>,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage that warn rules block from now on
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// The rules
    #[arg(value_name = "NAME", required = true)]
    names: Vec<RuleName>,
    #[command(flatten)]
    stage: StageArgs,
}

pub(crate) async fn run(command: RuleCommand, session: &mut Session<'_>) -> Result<u8, CliError> {
    match command {
        RuleCommand::Add(args) => add::run(args, session).await,
        RuleCommand::List(args) => list::run(&args, session).await,
        RuleCommand::Show { name } => {
            let elements = (!session.output.is_json()).then_some(SHOWN_ADDRESSES);
            let query = RulesQuery { elements };
            let rule = session.client.rule(name.as_str(), query).await?;
            session.show(&rule, render_rule)?;
            Ok(OK)
        }
        RuleCommand::Edit(args) => edit::run(args, session).await,
        RuleCommand::Remove(args) => {
            let names = args.names.into_iter().map(String::from).collect();
            stage(vec![Edit::RemoveRules { names }], &args.stage, session).await
        }
        RuleCommand::Promote(args) => {
            let names = args.names.into_iter().map(String::from).collect();
            let change = EditRule {
                action: Some(Action::Block),
                ..EditRule::default()
            };
            stage(edit::changed(names, &change), &args.stage, session).await
        }
    }
}
