//! `export`.

use clap::{Args, ValueEnum};
use ipblock_api::{
    client::ClientError,
    routes::Route,
    types::{RulesetText, Which},
};
use ipblock_policy::{
    ListName, RuleName, Ruleset,
    document::{self, Document},
    exchange::{self, Selection},
};
use jiff::Timestamp;

use super::{
    error::{CliError, OK},
    progress::Progress,
    session::Session,
};

/// Print the ruleset, or the addresses that it blocks
///
/// toml and json hold the whole ruleset, for `apply` and `import`. csv holds the addresses of
/// every rule that is live. plain, nft and ipset hold what is blocked: what block rules match and
/// do not except, as the fewest prefixes; the allow lists take nothing out of that.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl export > rules.toml
  ipblock-ctl export --format plain --rule abuse
  ipblock-ctl export --format nft | nft -f -
  ipblock-ctl export --format ipset | ipset restore")]
pub(crate) struct ExportArgs {
    /// The form; toml, or plain for a part of the ruleset
    #[arg(long)]
    format: Option<Format>,
    /// What is staged, instead of what is deployed
    #[arg(long)]
    staged: bool,
    #[command(flatten)]
    part: PartArgs,
}

/// A part of the ruleset.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct PartArgs {
    /// Only what this rule matches, without its exceptions
    #[arg(long, value_name = "NAME")]
    rule: Option<RuleName>,
    /// Only what this list holds
    #[arg(long, value_name = "NAME", value_parser = list_name)]
    list: Option<ListName>,
    /// Only the allow list for all zones
    #[arg(long)]
    allow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The ruleset file
    Toml,
    /// The same in JSON
    Json,
    /// Records of rule, action, address, kind, note and expires
    Csv,
    /// A prefix a line, its note after it
    Plain,
    /// For `nft -f`: two sets in the table inet ipblock
    Nft,
    /// For `ipset restore`: two sets of the type hash:net
    Ipset,
}

fn list_name(text: &str) -> Result<ListName, String> {
    let name = text.strip_prefix('@').unwrap_or(text);
    name.parse().map_err(|error| format!("{error}"))
}

impl PartArgs {
    const fn is_given(&self) -> bool {
        self.rule.is_some() || self.list.is_some() || self.allow
    }
}

pub(crate) async fn run(args: ExportArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let part = &args.part;
    let format = match args.format {
        Some(Format::Toml | Format::Json) if part.is_given() => {
            return Err(CliError::Usage {
                message: "toml and json hold the whole ruleset, not a part of it".to_owned(),
                hint: "write --format plain, csv, nft or ipset".to_owned(),
            });
        }
        Some(format) => format,
        None if part.is_given() => Format::Plain,
        None => Format::Toml,
    };
    let which = if args.staged {
        Which::Staged
    } else {
        Which::Deployed
    };
    let progress = Progress::spinner(session.output, "exporting");
    let mut text = session.client.ruleset(which).await?;
    if format != Format::Toml {
        let document = parse(&text)?;
        let selection = select(&document.ruleset, part)?;
        text.ruleset = written(&document, selection, format);
    }
    drop(progress);
    session.show(&text, |text: &RulesetText, _view| text.ruleset.clone())?;
    Ok(OK)
}

fn parse(text: &RulesetText) -> Result<Document, CliError> {
    // The deployed ruleset was forced where necessary.
    let nothing = Ruleset::default();
    document::parse_after(&text.ruleset, "ruleset", true, &nothing).map_err(|error| {
        CliError::Client(ClientError::Protocol {
            route: Route::Ruleset.to_string(),
            problem: error.to_string(),
        })
    })
}

fn select<'r>(ruleset: &'r Ruleset, part: &PartArgs) -> Result<Selection<'r>, CliError> {
    let missing = |kind: &str, name: &str| CliError::Usage {
        message: format!("there is no {kind} `{name}`"),
        hint: format!("`ipblock-ctl {kind} list` names them; --staged exports what is staged"),
    };
    if let Some(name) = &part.rule {
        let rule = ruleset.rule(name);
        return rule
            .map(Selection::Rule)
            .ok_or_else(|| missing("rule", name.as_str()));
    }
    if let Some(name) = &part.list {
        return ruleset
            .lists
            .get_key_value(name)
            .map(|(name, list)| Selection::List(name, list))
            .ok_or_else(|| missing("list", name.as_str()));
    }
    Ok(if part.allow {
        Selection::Allow
    } else {
        Selection::All
    })
}

fn written(document: &Document, selection: Selection<'_>, format: Format) -> String {
    let Document { ruleset, origin } = document;
    let now = Timestamp::now();
    let elements = || exchange::elements(ruleset, selection, now);
    match format {
        Format::Toml => document::print(ruleset),
        Format::Json => exchange::json_from(ruleset, origin.as_ref()),
        Format::Csv => exchange::csv(ruleset, selection, now),
        Format::Plain => exchange::plain(&elements()),
        Format::Nft => exchange::nft(&elements()),
        Format::Ipset => exchange::ipset(&elements()),
    }
}
