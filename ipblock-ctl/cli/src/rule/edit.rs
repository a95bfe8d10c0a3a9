//! `rule edit`: with flags a single edit, without flags an editor.

use std::path::PathBuf;

use clap::Args;
use ipblock_policy::{
    Action, RuleName, ZoneName,
    edit::{Edit, EditRule},
};

use super::{
    super::{
        arguments::{Addresses, StageArgs, action_parser, addresses, each},
        error::CliError,
        expiry::ExpiryArgs,
        session::Session,
        stage::stage,
    },
    editor,
};

/// Stage changes of rules, or edit one in $EDITOR
///
/// Without flags the rule is opened as TOML in $VISUAL, $EDITOR or vi. With several rules, all are
/// changed or none.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(after_help = "\
Examples:
  ipblock-ctl rule edit abuse
  ipblock-ctl rule edit abuse --add-match 203.0.113.0/24 203.0.112.9
  ipblock-ctl rule edit abuse --rename abuse-2026 --for 7d --deploy
  ipblock-ctl rule edit scanners bots --disable")]
pub(crate) struct EditArgs {
    /// The rules
    #[arg(value_name = "NAME", required = true)]
    names: Vec<RuleName>,
    /// Open the editor on this text, which an earlier edit left
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Change the action
    #[arg(long, value_parser = action_parser())]
    action: Option<Action>,
    /// Match these, too: addresses, prefixes, ranges FROM-TO, or @lists
    #[arg(long, value_name = "A", num_args = 1.., value_parser = addresses)]
    add_match: Vec<Addresses>,
    /// Match these no longer
    #[arg(long, value_name = "A", num_args = 1.., value_parser = addresses)]
    remove_match: Vec<Addresses>,
    /// Spare these, too
    #[arg(long, value_name = "A", num_args = 1.., value_parser = addresses)]
    add_except: Vec<Addresses>,
    /// Spare these no longer
    #[arg(long, value_name = "A", num_args = 1.., value_parser = addresses)]
    remove_except: Vec<Addresses>,
    /// Call it this; it keeps its counters
    #[arg(long, value_name = "NAME")]
    rename: Option<RuleName>,
    /// Kept with the rule; '' for none
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Switch it on
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Switch it off
    #[arg(long)]
    disable: bool,
    /// Alert hits, as of a warn rule
    #[arg(long, conflicts_with = "no_alert")]
    alert: bool,
    /// Do not alert hits of a block rule
    #[arg(long)]
    no_alert: bool,
    /// Only in this zone; may be repeated
    #[arg(long = "zone", value_name = "ZONE", conflicts_with = "all_zones")]
    zones: Vec<ZoneName>,
    /// In all zones
    #[arg(long)]
    all_zones: bool,
    #[command(flatten)]
    stage: StageArgs,
}

pub(crate) async fn run(args: EditArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    if let Some(reading) = args.expiry.reading() {
        session.note(reading);
    }
    let stage_args = args.stage.clone();
    let from = args.from.clone();
    let names: Vec<String> = args.names.iter().map(ToString::to_string).collect();
    let change = resolve(args)?;
    if change != EditRule::default() {
        if from.is_some() {
            return Err(CliError::Usage {
                message: "--from opens the editor, and goes with no change by flags".to_owned(),
                hint: "edit the text first, then the rule once more with flags".to_owned(),
            });
        }
        if names.len() > 1 && change.rename.is_some() {
            return Err(CliError::Usage {
                message: "several rules cannot be given the same name".to_owned(),
                hint: "write --rename with one rule".to_owned(),
            });
        }
        return stage(changed(names, &change), &stage_args, session).await;
    }
    match names.as_slice() {
        [name] => editor::run(name, from.as_deref(), &stage_args, session).await,
        _ => Err(CliError::Usage {
            message: "several rules are changed with flags only, not in the editor".to_owned(),
            hint: "name one rule, or say what to change: `ipblock-ctl rule edit --help`".to_owned(),
        }),
    }
}

/// Returns the same change for each rule.
pub(super) fn changed(names: Vec<String>, change: &EditRule) -> Vec<Edit> {
    let one = |name| {
        Edit::EditRule(EditRule {
            name,
            ..change.clone()
        })
    };
    names.into_iter().map(one).collect()
}

/// Returns the change of the flags, without the name of a rule.
fn resolve(args: EditArgs) -> Result<EditRule, CliError> {
    let on_or_off = |on: bool, off: bool| (on || off).then_some(on);
    let zones: Vec<String> = args.zones.into_iter().map(String::from).collect();
    Ok(EditRule {
        name: String::new(),
        rename: args.rename.map(String::from),
        action: args.action,
        add_match: each(args.add_match)?,
        remove_match: each(args.remove_match)?,
        add_except: each(args.add_except)?,
        remove_except: each(args.remove_except)?,
        note: args.note,
        expires: args.expiry.expiry(),
        enabled: on_or_off(args.enable, args.disable),
        alert: on_or_off(args.alert, args.no_alert),
        zones: (args.all_zones || !zones.is_empty()).then_some(zones),
    })
}
