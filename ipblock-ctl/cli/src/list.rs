//! `list list`, `list show`, `list add`, `list remove`, `list set`,
//! `list reload`, `list accept`.

use std::{
    cmp::Reverse,
    io::{self, IsTerminal as _},
};

use clap::{Arg, ArgGroup, ArgMatches, Args, Command, FromArgMatches, Subcommand, ValueEnum};
use ipblock_api::types::{ListInfo, ListQuery, ReloadRequest};
use ipblock_output::lists::{render_content, render_list, render_reloaded};
use ipblock_policy::{ListName, NameError, SourceKind, SourceText, edit::Edit};

use super::{
    arguments::{Addresses, StageArgs, address, addresses, addresses_or_input, each},
    deploy::{DEPLOYING, show_deployed},
    error::{CliError, FAILED, OK},
    gather::each_or_input,
    intake::IntakeArgs,
    session::Session,
    sort::{SortArgs, SortKey, by_state, by_text},
    stage::stage,
};

/// Number of entries that a terminal shows at first.
const FIRST: u64 = 20;

#[derive(Debug, Subcommand)]
pub(crate) enum ListCommand {
    #[command(alias = "ls")]
    List(ListArgs),
    Show(ShowArgs),
    Add(AddArgs),
    #[command(aliases = ["rm", "del", "delete"])]
    Remove(RemoveArgs),
    Set(Box<SetArgs>),
    Reload(ReloadArgs),
    /// Take what a list's file says now, once, although a guard keeps the old content
    ///
    /// `status` and `list list` say why a file is not followed. This lifts the guards against a file
    /// that shrinks and against one that newly drops 1 % of an address family or more, no others.
    Accept {
        /// The list
        #[arg(value_parser = list_name)]
        name: ListName,
    },
}

/// Show what a list contains and what uses it
///
/// With an address: only the entries that cover it or that it covers. On a terminal the first 20
/// entries are shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl list show drop
  ipblock-ctl list show drop 203.0.113.9       # what in it covers the address")]
pub(crate) struct ShowArgs {
    /// The list
    #[arg(value_parser = list_name)]
    name: ListName,
    /// Only entries about this address, prefix or range FROM-TO
    #[arg(value_name = "A", value_parser = address)]
    address: Option<String>,
    /// Show every entry on a terminal, too
    #[arg(long)]
    all: bool,
}

/// Read the files of lists now, and deploy what changed
///
/// The daemon does so by itself when a file changes, with the same guards.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// The list [default: every list with a file]
    #[arg(value_parser = list_name)]
    name: Option<ListName>,
}

/// List the named lists
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    order: SortArgs<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Name,
    Entries,
    File,
    UsedBy,
    State,
}

impl SortKey for Column {
    type Row = ListInfo;

    const HELP: &'static str = "Sort by this column: the longest first, what is staged first, the \
                                others from A to Z [default: name]";

    fn sort(self, lists: &mut [ListInfo]) {
        match self {
            Self::Name => lists.sort_by(|a, b| a.name.cmp(&b.name)),
            Self::Entries => lists.sort_by_key(|list| Reverse(list.entries)),
            Self::File => {
                let written = |list: &ListInfo| {
                    let source = list.source.written();
                    by_text(source.map_or("", |(_, text)| text))
                };
                lists.sort_by_cached_key(written);
            }
            Self::UsedBy => lists.sort_by_cached_key(|list| by_text(&list.used_by.join(" "))),
            Self::State => lists.sort_by_key(|list| by_state(list.state)),
        }
    }
}

/// Stage addresses for a list; makes the list when there is none
///
/// Rules and allow lists use a list as @NAME.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The list
    #[arg(value_parser = list_name)]
    name: ListName,
    /// Addresses, prefixes, or ranges FROM-TO; - reads them from standard input
    #[arg(value_name = "A", required = true, value_parser = addresses_or_input)]
    addresses: Vec<Addresses>,
    /// Kept with each of them
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage the removal of addresses from a list, or of the list
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The list
    #[arg(value_parser = list_name)]
    name: ListName,
    /// Addresses, prefixes, or ranges FROM-TO; without any the list itself, which nothing may use
    #[arg(value_name = "A", value_parser = addresses)]
    addresses: Vec<Addresses>,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage what a list holds: these addresses and no others, or what a file holds
///
/// A list with a file follows it: the daemon reads the file again when it changes, and on SIGHUP.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ipblock-ctl list set office 192.0.2.0/28 2001:db8::/64 --note head-office
  ipblock-ctl list set drop --file spamhaus/drop.txt --deploy
  ipblock-ctl list set au --file dbip-country.csv.gz --column 1-2 --where 3=AU")]
pub(crate) struct SetArgs {
    /// The list
    #[arg(value_parser = list_name)]
    name: ListName,
    /// Addresses, prefixes, or ranges FROM-TO; - reads them from standard input
    #[arg(value_name = "A", required_unless_present = SOURCE, value_parser = addresses_or_input)]
    addresses: Vec<Addresses>,
    /// Kept with each of them
    #[arg(long, value_name = "TEXT", conflicts_with = SOURCE)]
    note: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    intake: IntakeArgs,
    #[command(flatten)]
    stage: StageArgs,
}

/// The group of [`SourceArgs`].
const SOURCE: &str = "source";

/// The source to follow: a flag for each kind.
#[derive(Debug)]
struct SourceArgs(SourceText);

impl Args for SourceArgs {
    fn augment_args(command: Command) -> Command {
        let flags = SourceKind::ALL.map(|kind| {
            let (value, help) = kind.help();
            let flag = Arg::new(kind.key()).long(kind.key());
            flag.value_name(value)
                .help(help)
                .conflicts_with("addresses")
        });
        let group = ArgGroup::new(SOURCE).args(SourceKind::ALL.map(SourceKind::key));
        command.args(flags).group(group)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let kinds = SourceKind::ALL.into_iter();
        let given = kinds.filter_map(|kind| Some((kind, matches.get_one::<String>(kind.key())?)));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(crate) async fn run(command: ListCommand, session: &mut Session<'_>) -> Result<u8, CliError> {
    let (edit, args) = match command {
        ListCommand::List(args) => return list(&args, session).await,
        ListCommand::Show(args) => return show(args, session).await,
        ListCommand::Reload(args) => return reload(args, session).await,
        ListCommand::Accept { name } => {
            let accept = session.client.accept_list(name.as_str());
            let deployed = session.wait(DEPLOYING, accept).await?;
            show_deployed(&deployed, session)?;
            return Ok(OK);
        }
        ListCommand::Add(args) => {
            let edit = Edit::AddToList {
                list: args.name.into(),
                addresses: each_or_input(args.addresses, session)?,
                note: args.note.unwrap_or_default(),
            };
            (edit, args.stage)
        }
        ListCommand::Remove(args) => {
            let list = args.name.into();
            let edit = if args.addresses.is_empty() {
                Edit::RemoveList { list }
            } else {
                Edit::RemoveFromList {
                    list,
                    addresses: each(args.addresses)?,
                }
            };
            (edit, args.stage)
        }
        ListCommand::Set(args) => {
            let addresses = each_or_input(args.addresses, session)?;
            let mut source = args.source.0;
            for (key, texts) in args.intake.options().written() {
                for text in texts {
                    source.put(key, text);
                }
            }
            let edit = Edit::SetList {
                list: args.name.into(),
                addresses: source.written().is_none().then_some(addresses),
                note: args.note.unwrap_or_default(),
                source,
            };
            (edit, args.stage)
        }
    };
    stage(vec![edit], &args, session).await
}

async fn show(args: ShowArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let is_short = !args.all && !session.output.is_json() && io::stdout().is_terminal();
    let query = ListQuery {
        address: args.address,
        // One more shows whether there are more.
        limit: is_short.then_some(FIRST + 1),
    };
    let mut list = session.client.list(args.name.as_str(), &query).await?;
    let first = usize::try_from(FIRST).unwrap_or(usize::MAX);
    let are_more = is_short && list.entries.len() > first;
    if are_more {
        list.entries.truncate(first);
    }
    session.show(&list, render_content)?;
    if are_more {
        session.note(&format!("the first {FIRST}; --all shows every entry"));
    }
    if let Some(address) = query.address.filter(|_| list.entries.is_empty()) {
        session.note(&format!(
            "no entry of list {} is about {address}",
            list.name
        ));
    }
    Ok(OK)
}

async fn reload(args: ReloadArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = ReloadRequest {
        list: args.name.map(String::from),
    };
    let reload = session.client.reload_lists(&request);
    let reloaded = session.wait("reading", reload).await?;
    session.show(&reloaded, |lists, _| render_reloaded(lists))?;
    if reloaded.is_empty() {
        session.note("no deployed list has a file");
    }
    let is_good = reloaded.iter().all(|list| list.problem.is_none());
    Ok(if is_good { OK } else { FAILED })
}

async fn list(args: &ListArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let mut lists = session.client.lists().await?;
    args.order.apply(&mut lists);
    session.show(&lists, |lists, view| render_list(lists, view))?;
    Ok(OK)
}

/// Parses a list's name, with or without the `@` before it.
fn list_name(text: &str) -> Result<ListName, NameError> {
    text.strip_prefix('@').unwrap_or(text).parse()
}
