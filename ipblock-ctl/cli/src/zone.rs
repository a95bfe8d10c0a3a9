//! `zone list`, `zone show`, `zone set`, `zone remove`.

use std::str::FromStr;

use clap::{Args, Subcommand, builder::TypedValueParser};
use ipblock_api::{
    client::ClientError,
    error::{ApiError, ErrorKind},
};
use ipblock_output::zones::{render_list, render_zone};
use ipblock_policy::{DefaultVerdict, MalformedPolicy, ZoneName, edit::Edit};

use super::{
    arguments::{StageArgs, one_of},
    error::{CliError, OK},
    session::Session,
    stage::stage,
};

const STATELESS: &str = "note: the filter keeps no connection state. With default drop it drops \
                         replies to this host's own\nconnections too, unless their source is allowed.";

#[derive(Debug, Subcommand)]
pub(crate) enum ZoneCommand {
    /// List all zones
    #[command(alias = "ls")]
    List,
    /// Show a zone and its allow list
    Show {
        /// The zone
        zone: ZoneName,
    },
    Set(SetArgs),
    #[command(aliases = ["rm", "del", "delete"])]
    Remove(RemoveArgs),
}

/// Stage the removal of a zone and its allow list
///
/// No rule may name the zone, and no interface may be in it. The zone `default` always exists.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The zone
    zone: ZoneName,
    #[command(flatten)]
    stage: StageArgs,
}

/// Stage a zone's settings; creates the zone when it does not exist
///
/// The filter keeps no connection state: a zone with default drop also drops replies to this
/// host's own connections, unless their source is allowed. Neighbour discovery and DHCP pass.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The zone
    zone: ZoneName,
    /// What happens to an address that nothing matches
    #[arg(long, value_parser = pass_or_drop(DefaultVerdict::WORDS))]
    default: Option<DefaultVerdict>,
    /// What happens to a packet whose source cannot be read
    #[arg(long, value_parser = pass_or_drop(MalformedPolicy::WORDS))]
    malformed: Option<MalformedPolicy>,
    #[command(flatten)]
    stage: StageArgs,
}

fn pass_or_drop<T>(words: [(T, &'static str); 2]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let words = words.into_iter().map(|(_, word)| word);
    one_of(words.zip(["Let pass", "Drop"]))
}

pub(crate) async fn run(command: ZoneCommand, session: &mut Session<'_>) -> Result<u8, CliError> {
    match command {
        ZoneCommand::List => {
            let zones = session.client.zones().await?;
            session.show(&zones, |zones, view| render_list(zones, view))?;
            Ok(OK)
        }
        ZoneCommand::Show { zone } => show(&zone, session).await,
        ZoneCommand::Set(args) => set(args, session).await,
        ZoneCommand::Remove(args) => {
            let name = args.zone.into();
            stage(vec![Edit::RemoveZone { name }], &args.stage, session).await
        }
    }
}

async fn show(name: &ZoneName, session: &mut Session<'_>) -> Result<u8, CliError> {
    let zones = session.client.zones().await?;
    let Some(zone) = zones.iter().find(|zone| zone.name == name.as_str()) else {
        let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
        let error = ApiError::new(ErrorKind::NotFound, format!("there is no zone `{name}`"));
        let hint = format!("the zones are: {}", names.join(", "));
        return Err(ClientError::Api(error.with_hint(hint)).into());
    };
    session.show(zone, render_zone)?;
    Ok(OK)
}

async fn set(args: SetArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    if args.default == Some(DefaultVerdict::Drop) {
        session.note(STATELESS);
    }
    let edit = Edit::SetZone {
        name: args.zone.into(),
        default: args.default,
        malformed: args.malformed,
    };
    stage(vec![edit], &args.stage, session).await
}
