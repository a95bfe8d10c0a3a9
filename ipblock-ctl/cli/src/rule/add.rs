//! `rule add`, and its dialog if a rule with the same action exists.

use std::io::{self, BufRead, Write};

use clap::Args;
use ipblock_api::types::{EntryState, RuleInfo, RulesQuery, Staged};
use ipblock_policy::{
    Action, RuleName, ZoneName,
    edit::{AddRule, Edit, EditRule, Expiry},
};

use super::super::{
    arguments::{
        Addresses, StageArgs, action_parser, addresses_after_name, each, matches_after_name,
    },
    error::CliError,
    expiry::ExpiryArgs,
    gather::each_or_input,
    prompt::{ask, choose},
    session::{Session, somebody_is_there},
    stage::{finish, send},
};

/// The query if only names, actions and zones matter.
const NAMES: RulesQuery = RulesQuery { elements: Some(0) };

/// Stage a new rule
///
/// Without NAME the rule is called after its action. When a rule with that action exists already,
/// `rule add` without NAME asks what is meant, or, when nobody can be asked, exits with 3 and says
/// how to write each of the choices.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl rule add --action block --match 192.0.2.7
  ipblock-ctl rule add abuse --action block --match 192.0.2.0/24 \\
      198.51.100.1-198.51.100.9 --except 192.0.2.10 \\
      --for 7d --note 'ticket 42' --deploy
  ipblock-ctl rule add scanners --action warn --match @scanners 2001:db8::/32

--match and --except take several values, separated by spaces or commas, and
may be repeated. NAME stands before them.")]
pub(crate) struct AddArgs {
    /// The rule's name; letters, digits, `_`, `-` and `.`
    name: Option<RuleName>,
    /// What the rule does
    #[arg(long, value_parser = action_parser())]
    action: Action,
    /// Addresses, prefixes, ranges FROM-TO, or @lists; - reads them from standard input
    #[arg(
        long = "match",
        value_name = "A",
        required = true,
        num_args = 1..,
        value_parser = matches_after_name
    )]
    matches: Vec<Addresses>,
    /// What the rule spares, in the same forms
    #[arg(
        long,
        value_name = "A",
        num_args = 1..,
        value_parser = addresses_after_name
    )]
    except: Vec<Addresses>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Kept with the rule
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Only in this zone; may be repeated [default: in all zones]
    #[arg(long = "zone", value_name = "ZONE")]
    zones: Vec<ZoneName>,
    /// Alert hits, as of a warn rule
    #[arg(long)]
    alert: bool,
    /// Add it switched off
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    stage: StageArgs,
}

pub(crate) async fn run(args: AddArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    if let Some(reading) = args.expiry.reading() {
        session.note(reading);
    }
    let rule = AddRule {
        name: args.name.map(String::from),
        action: args.action,
        matches: each_or_input(args.matches, session)?,
        except: each(args.except)?,
        expires: args.expiry.expiry().unwrap_or_default(),
        note: args.note.unwrap_or_default(),
        alert: args.alert,
        disabled: args.disabled,
        zones: args.zones.into_iter().map(String::from).collect(),
    };
    let staged = add(rule, args.stage.force, session).await?;
    finish(&staged, 1, &args.stage, session).await
}

/// Stages the rule. Asks if it has no name and a rule with its action exists.
async fn add(
    mut rule: AddRule,
    force: bool,
    session: &mut Session<'_>,
) -> Result<Staged, CliError> {
    loop {
        let refused = match send(vec![Edit::AddRule(rule.clone())], force, session).await {
            Ok(staged) => return Ok(staged),
            Err(error) => error,
        };
        if rule.name.is_some() || !refused.is_conflict() || !somebody_is_there() {
            return Err(refused.into());
        }
        let rules = session.client.rules(NAMES).await?;
        let same = same_action(&rules, &rule);
        if same.is_empty() {
            return Err(refused.into());
        }
        let mut input = io::stdin().lock();
        let taken = names_in_use(&rules);
        match ask_what_is_meant(&mut input, &mut io::stderr(), &rule, &same, &taken)? {
            Meant::Extend(name) => {
                let edit = Edit::EditRule(EditRule {
                    name,
                    add_match: rule.matches,
                    add_except: rule.except,
                    ..EditRule::default()
                });
                return Ok(send(vec![edit], force, session).await?);
            }
            Meant::Action(action) => rule.action = action,
            Meant::Name(name) => rule.name = Some(name),
            Meant::Stop => return Err(CliError::Stopped),
        }
    }
}

/// Returns names of the rules that share the action and a zone with `rule`.
fn same_action(rules: &[RuleInfo], rule: &AddRule) -> Vec<String> {
    let shares_a_zone = |zones: &[String]| {
        zones.is_empty()
            || rule.zones.is_empty()
            || zones.iter().any(|zone| rule.zones.contains(zone))
    };
    rules
        .iter()
        .filter(|other| other.state != EntryState::Removed)
        .filter(|other| other.action == rule.action && shares_a_zone(&other.zones))
        .map(|other| other.name.clone())
        .collect()
}

fn names_in_use(rules: &[RuleInfo]) -> Vec<&str> {
    let here = rules
        .iter()
        .filter(|rule| rule.state != EntryState::Removed);
    here.map(|rule| rule.name.as_str()).collect()
}

/// What the operator wants if a rule with the same action exists.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// Add the addresses to the rule with this name.
    Extend(String),
    /// Change the action.
    Action(Action),
    /// A separate rule with this name.
    Name(String),
    /// Cancel.
    Stop,
}

fn ask_what_is_meant(
    input: &mut dyn BufRead,
    messages: &mut dyn Write,
    rule: &AddRule,
    same: &[String],
    taken: &[&str],
) -> io::Result<Meant> {
    let other = rule.action.alternative();
    let (word, other_word) = (rule.action.as_str(), other.as_str());
    let (title, extend) = match same {
        [only] => (
            format!("Rule `{only}` has the action {word} already."),
            format!("add these addresses to rule `{only}`"),
        ),
        several => (
            format!(
                "Rules with the action {word} exist already: {}.",
                several.join(", ")
            ),
            "add these addresses to one of them".to_owned(),
        ),
    };
    let kept = if has_settings(rule) {
        "; its own end, note and settings stay"
    } else {
        ""
    };
    writeln!(
        messages,
        "{title}\n  1  {extend}{kept}\n  2  {other_word} instead of {word}\n  \
         3  make a separate rule\n  4  stop"
    )?;
    let choice = choose(input, messages, "Which?", &["1", "2", "3", "4"])?;
    let meant = match choice {
        Some("1") => which_rule(input, messages, same)?.map(Meant::Extend),
        Some("2") => Some(Meant::Action(other)),
        Some("3") => new_name(input, messages, taken)?.map(Meant::Name),
        _ => None,
    };
    Ok(meant.unwrap_or(Meant::Stop))
}

/// Whether the rule has settings that would be lost if its addresses were added to another rule.
fn has_settings(rule: &AddRule) -> bool {
    rule.expires != Expiry::Never || !rule.note.is_empty() || rule.alert || rule.disabled
}

fn which_rule(
    input: &mut dyn BufRead,
    messages: &mut dyn Write,
    same: &[String],
) -> io::Result<Option<String>> {
    if let [only] = same {
        return Ok(Some(only.clone()));
    }
    let names: Vec<&str> = same.iter().map(String::as_str).collect();
    let name = choose(input, messages, "To which rule?", &names)?;
    Ok(name.map(str::to_owned))
}

/// Asks for a valid name that is not in `taken`.
fn new_name(
    input: &mut dyn BufRead,
    messages: &mut dyn Write,
    taken: &[&str],
) -> io::Result<Option<String>> {
    loop {
        let Some(answer) = ask(input, messages, "Its name?")? else {
            return Ok(None);
        };
        match answer.parse::<RuleName>() {
            Ok(name) if taken.contains(&name.as_str()) => {
                writeln!(messages, "there is a rule `{name}` already")?;
            }
            Ok(name) => return Ok(Some(name.into())),
            Err(error) => writeln!(messages, "{error}")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action) -> AddRule {
        AddRule {
            name: None,
            action,
            matches: vec!["192.0.2.1".to_owned()],
            except: Vec::new(),
            expires: Expiry::Never,
            note: String::new(),
            alert: false,
            disabled: false,
            zones: Vec::new(),
        }
    }

    fn answered(answers: &str, rule: &AddRule, same: &[&str]) -> (Meant, String) {
        let same: Vec<String> = same.iter().map(|&name| name.to_owned()).collect();
        let mut messages = Vec::new();
        let meant = ask_what_is_meant(
            &mut answers.as_bytes(),
            &mut messages,
            rule,
            &same,
            &["warn", "feed"],
        )
        .expect("a vector takes everything");
        (meant, String::from_utf8(messages).expect("UTF-8"))
    }

    #[test]
    fn the_question_offers_four_ways() {
        let mut rule = rule(Action::Block);
        rule.note = "ticket 42".to_owned();
        let (meant, text) = answered("1\n", &rule, &["block"]);
        assert_eq!(meant, Meant::Extend("block".to_owned()));
        insta::assert_snapshot!(text, @r"
        Rule `block` has the action block already.
          1  add these addresses to rule `block`; its own end, note and settings stay
          2  warn instead of block
          3  make a separate rule
          4  stop
        Which?
        ");
    }

    #[test]
    fn with_several_rules_it_asks_for_the_one() {
        let (meant, text) = answered("1\nnone\nfeed\n", &rule(Action::Warn), &["warn", "feed"]);
        assert_eq!(meant, Meant::Extend("feed".to_owned()));
        assert!(text.contains("Please answer one of: warn, feed"), "{text}");
    }

    #[test]
    fn the_other_action_a_new_name_and_stop_are_understood() {
        let warn = rule(Action::Warn);
        assert_eq!(
            answered("2\n", &warn, &["warn"]).0,
            Meant::Action(Action::Block)
        );
        assert_eq!(
            answered("3\na b\nmine\n", &warn, &["warn"]).0,
            Meant::Name("mine".to_owned())
        );
        assert_eq!(answered("4\n", &warn, &["warn"]).0, Meant::Stop);
        assert_eq!(answered("", &warn, &["warn"]).0, Meant::Stop);
        assert_eq!(answered("3\n", &warn, &["warn"]).0, Meant::Stop);
    }

    #[test]
    fn rules_of_other_zones_and_removed_ones_do_not_count() {
        let info = |name: &str, zones: &[&str], state: &str| -> RuleInfo {
            serde_json::from_value(serde_json::json!({
                "name": name, "action": "block", "enabled": true, "match": [], "except": [],
                "expires": null, "note": "", "alert": false, "zones": zones, "entries": 0,
                "packets": 0, "bytes": 0, "excepted": 0, "last_hit": null, "state": state,
            }))
            .expect("a rule")
        };
        let rules = [
            info("everywhere", &[], "deployed"),
            info("dmz", &["dmz"], "added"),
            info("lan", &["lan"], "deployed"),
            info("gone", &[], "removed"),
        ];
        let mut rule = rule(Action::Block);
        rule.zones = vec!["dmz".to_owned()];
        assert_eq!(same_action(&rules, &rule), ["everywhere", "dmz"]);
        rule.action = Action::Warn;
        assert!(same_action(&rules, &rule).is_empty());
    }
}
