//! Arguments that several commands share, and how they are read.

use clap::{Args, ValueEnum};

use super::expiry::parse_duration;
use crate::{
    api::types::DeployRequest,
    policy::{Action, DefaultVerdict, MalformedPolicy, name::check_interface_name},
};

/// An action as a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActionArg {
    /// Drop
    Block,
    /// Count and alert, and let pass
    Warn,
}

impl From<ActionArg> for Action {
    fn from(action: ActionArg) -> Self {
        match action {
            ActionArg::Block => Self::Block,
            ActionArg::Warn => Self::Warn,
        }
    }
}

/// `pass` or `drop` as a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PassOrDrop {
    /// Let pass
    Pass,
    /// Drop
    Drop,
}

impl From<PassOrDrop> for DefaultVerdict {
    fn from(value: PassOrDrop) -> Self {
        match value {
            PassOrDrop::Pass => Self::Pass,
            PassOrDrop::Drop => Self::Drop,
        }
    }
}

impl From<PassOrDrop> for MalformedPolicy {
    fn from(value: PassOrDrop) -> Self {
        match value {
            PassOrDrop::Pass => Self::Pass,
            PassOrDrop::Drop => Self::Drop,
        }
    }
}

/// How many rows to show, at least one.
pub(crate) fn limit(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|&limit| limit > 0)
        .ok_or_else(|| format!("write a number, 1 to {}", u32::MAX))
}

/// What every command that deploys takes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DeployFlags {
    /// Kept with the revision
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// Go back by itself unless `ipblock-ctl confirm` follows within this time: 60s, 5m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) confirm_within: Option<u64>,
    /// Allow what newly drops 1 % of an address family or more; no other guard
    #[arg(long)]
    pub(crate) wide: bool,
    /// Allow whatever is refused for safety
    #[arg(long)]
    pub(crate) force: bool,
}

impl From<DeployFlags> for DeployRequest {
    fn from(flags: DeployFlags) -> Self {
        Self {
            comment: flags.comment.unwrap_or_default(),
            confirm_within: flags.confirm_within,
            force: flags.force,
            wide: flags.wide,
        }
    }
}

/// What every command that stages takes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StageArgs {
    /// Deploy at once, together with all that is staged already
    #[arg(long, help_heading = "Staging")]
    pub(crate) deploy: bool,
    /// Kept with the revision
    #[arg(
        long,
        value_name = "TEXT",
        requires = "deploy",
        help_heading = "Staging"
    )]
    pub(crate) comment: Option<String>,
    /// Go back by itself unless `ipblock-ctl confirm` follows within this time: 60s, 5m
    #[arg(
        long,
        value_name = "DURATION",
        requires = "deploy",
        value_parser = parse_duration,
        help_heading = "Staging"
    )]
    pub(crate) confirm_within: Option<u64>,
    /// Allow what newly drops 1 % of an address family or more; no other guard
    #[arg(long, requires = "deploy", help_heading = "Staging")]
    pub(crate) wide: bool,
    /// Allow whatever is refused for safety, such as blocking 0.0.0.0/0
    #[arg(long, help_heading = "Staging")]
    pub(crate) force: bool,
}

/// An address argument. Whether it is well formed is decided where it is used; here it only has to
/// look like one, so that a name in its place is noticed.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.starts_with('@') || text.contains(['.', ':']) {
        return Ok(text.to_owned());
    }
    if text.is_empty() {
        return Err("an address must not be empty".to_owned());
    }
    Err(format!(
        "not an address, prefix, range or @list; write @{text} for a list, \
         and put a NAME before the options"
    ))
}

/// An address argument, or `-` for standard input.
pub(crate) fn address_or_input(text: &str) -> Result<String, String> {
    match text {
        "-" => Ok(text.to_owned()),
        text => address(text),
    }
}

/// An interface name that Linux could have.
pub(crate) fn interface(name: &str) -> Result<String, String> {
    check_interface_name(name)?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_place_of_an_address_is_noticed() {
        let error = address("office").expect_err("no address");
        assert!(error.contains("write @office for a list"), "{error}");
        for text in ["192.0.2.1", " 2001:db8::/32", "@office", "::"] {
            assert_eq!(address(text).as_deref(), Ok(text.trim()));
        }
    }
}
