//! `attach` and `detach`.

use clap::{Args, builder::TypedValueParser};
use ipblock_api::types::{AskedMode, AttachRequest, InterfaceState, Mode};
use ipblock_output::status::render_attached;
use ipblock_policy::ZoneName;

use super::{
    arguments::{auto_or, interface},
    error::{CliError, FAILED, OK},
    session::Session,
};

/// Put the filter on an interface
///
/// The daemon remembers it: the interface is attached again after a restart, and when it
/// reappears. A program that something else put there is never replaced. Below a filtered bridge, bond or
/// the like, what comes in by that is dropped for a moment: the kernel takes programs from below to above.
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The interface
    #[arg(value_name = "IF", value_parser = interface)]
    interface: String,
    /// How to attach
    #[arg(long, default_value = "auto", value_parser = mode_parser())]
    mode: AskedMode,
    /// The zone that it belongs to [default: the one it is in, else default]
    #[arg(long)]
    zone: Option<ZoneName>,
    /// Attach also where the zone drops an address that you need, such as that of your SSH session
    #[arg(long)]
    force: bool,
}

/// Take the filter off an interface
///
/// Packets of the interface are no longer judged. The daemon forgets the interface.
#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    /// The interface
    #[arg(value_name = "IF", value_parser = interface)]
    interface: String,
    /// Take it off devices only that were attached by this name and then renamed, or moved to another
    /// network namespace
    #[arg(long)]
    moved: bool,
}

fn mode_parser() -> impl TypedValueParser<Value = AskedMode> {
    auto_or(
        "Native when the driver can, else generic",
        Mode::ALL.map(|mode| (mode.as_str(), mode.summary())),
    )
}

pub(crate) async fn attach(args: AttachArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    let request = AttachRequest {
        interface: args.interface,
        mode: args.mode,
        zone: args.zone.map(String::from),
        force: args.force,
    };
    let attached = session.client.attach(&request).await?;
    session.show(&attached, render_attached)?;
    for warning in &attached.warnings {
        session.note(warning);
    }
    Ok(match attached.interface.state {
        InterfaceState::Attached | InterfaceState::Absent => OK,
        InterfaceState::Failed => FAILED,
    })
}

pub(crate) async fn detach(args: DetachArgs, session: &mut Session<'_>) -> Result<u8, CliError> {
    session.client.detach(&args.interface, args.moved).await?;
    let what = if args.moved {
        "detached where it moved to"
    } else {
        "detached"
    };
    session.note(&format!("{}: {what}", args.interface));
    Ok(OK)
}
