//! Arguments that several commands share, with their parsers.

use std::{iter, str::FromStr};

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use ipblock_api::types::DeployRequest;
use ipblock_policy::{
    Action, RuleName,
    address::{AddressError, addresses_of_line, refuse_masks, unmarked_note},
    duration,
    name::check_interface_name,
};

use super::{expiry::parse_duration, line_reader::INPUT};

/// Parses one of some words. `--help` and completions list them with their meaning.
pub(crate) fn one_of<T>(
    words: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let words = words.into_iter();
    let words = words.map(|(word, help)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(words).try_map(|text| text.parse::<T>())
}

/// As [`one_of`], plus `auto`, which returns `None`.
pub(crate) fn auto_or<T>(
    auto: &'static str,
    words: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> impl TypedValueParser<Value = Option<T>>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let words = iter::once(("auto", auto)).chain(words);
    let words = words.map(|(word, help)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(words).try_map(|text| match text.as_str() {
        "auto" => Ok(None),
        _ => text.parse::<T>().map(Some),
    })
}

/// Parses an action.
pub(crate) fn action_parser() -> impl TypedValueParser<Value = Action> {
    one_of(Action::ALL.map(|action| (action.as_str(), action.summary())))
}

/// Parses a number of rows, at least one.
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
    /// Roll back automatically unless `ipblock-ctl confirm` follows within this time: 60s, 5m
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        allow_hyphen_values = true
    )]
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
            ..Self::default()
        }
    }
}

/// What every command that stages takes.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct StageArgs {
    /// Deploy at once, together with all that is staged already
    #[arg(long, group = "in_force", help_heading = "Staging")]
    pub(crate) deploy: bool,
    /// Kept with the revision
    #[arg(
        long,
        value_name = "TEXT",
        requires = "deploy",
        help_heading = "Staging"
    )]
    pub(crate) comment: Option<String>,
    /// Roll back automatically unless `ipblock-ctl confirm` follows within this time: 60s, 5m
    #[arg(
        long,
        value_name = "DURATION",
        requires = "deploy",
        value_parser = parse_duration,
        allow_hyphen_values = true,
        help_heading = "Staging"
    )]
    pub(crate) confirm_within: Option<u64>,
    /// Allow what newly drops 1 % of an address family or more; no other guard
    #[arg(long, requires = "in_force", help_heading = "Staging")]
    pub(crate) wide: bool,
    /// Deploy what others staged, too; on a terminal without it, the command asks
    #[arg(long, requires = "deploy", help_heading = "Staging")]
    pub(crate) with_others: bool,
    /// Allow whatever is refused for safety, such as blocking 0.0.0.0/0
    #[arg(long, help_heading = "Staging")]
    pub(crate) force: bool,
}

/// One argument with addresses, separated by commas. A trailing comma has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses(Vec<String>);

/// Returns the addresses of arguments, in order. Rejects two if the second could be the mask of the
/// first.
pub(crate) fn each(arguments: Vec<Addresses>) -> Result<Vec<String>, AddressError> {
    let addresses: Vec<String> = arguments.into_iter().flat_map(|one| one.0).collect();
    refuse_masks(&addresses)?;
    Ok(addresses)
}

/// Parses an address argument. It is only checked for a rough likeness, so that a word in its place
/// is noticed. The code that uses it validates it.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    // The later parser explains the error, unless the text could not be anything like an address.
    if text.starts_with('@') || text.contains(['.', ':', '/', '*']) {
        return Ok(text.to_owned());
    }
    Err(match text {
        "" => "an address must not be empty".to_owned(),
        INPUT => "standard input is not read here: write the addresses".to_owned(),
        text => format!(
            "{NOT_AN_ADDRESS}; write @{text} for a list, and quotes around a text of several words"
        ),
    })
}

const NOT_AN_ADDRESS: &str = "not an IP address, prefix, range or @list (names of hosts and \
                              countries are not resolved)";

/// Parses addresses with commas between them.
pub(crate) fn addresses(text: &str) -> Result<Addresses, String> {
    split(text, address)
}

/// As [`addresses`], after an option of a command with a NAME.
pub(crate) fn addresses_after_name(text: &str) -> Result<Addresses, String> {
    split(text, |text| {
        if text.parse::<RuleName>().is_err() || address(text).is_ok() {
            return address(text);
        }
        Err(format!(
            "{NOT_AN_ADDRESS}; write @{text} for a list, and put a NAME before the options"
        ))
    })
}

/// As [`addresses_after_name`], or `-` for standard input.
pub(crate) fn matches_after_name(text: &str) -> Result<Addresses, String> {
    match text {
        INPUT => Ok(Addresses(vec![text.to_owned()])),
        text => addresses_after_name(text),
    }
}

/// As [`addresses`], or `-` for standard input.
pub(crate) fn addresses_or_input(text: &str) -> Result<Addresses, String> {
    match text {
        INPUT => Ok(Addresses(vec![text.to_owned()])),
        text => addresses(text),
    }
}

/// As [`addresses`], where a duration is not allowed.
pub(crate) fn unbanned_addresses(text: &str) -> Result<Addresses, String> {
    match duration::whole_seconds(text) {
        Ok(_) => Err(format!(
            "not an address: unban ends bans at once; to have one end later: \
             ipblock-ctl ban ADDRESS --for {text} --shorten"
        )),
        Err(_) => addresses_or_input(text),
    }
}

/// As [`addresses`], where a duration was perhaps meant for `--for`.
pub(crate) fn banned_addresses(text: &str) -> Result<Addresses, String> {
    match duration::whole_seconds(text) {
        Ok(_) => Err(format!("not an address: did you mean --for {text}?")),
        Err(_) => addresses_or_input(text),
    }
}

fn split(text: &str, one: impl Fn(&str) -> Result<String, String>) -> Result<Addresses, String> {
    let text = text.trim();
    if text.contains(char::is_whitespace) || text.contains(';') {
        return line(text);
    }
    let pieces = text.strip_suffix(',').unwrap_or(text).split(',');
    let pieces: Vec<&str> = pieces.map(str::trim).collect();
    if pieces.len() > 1 && pieces.contains(&"") {
        return Err("nothing between two commas: write an address there".to_owned());
    }
    pieces
        .into_iter()
        .map(one)
        .collect::<Result<_, _>>()
        .map(Addresses)
}

/// Parses an argument of several words as a line of a file.
fn line(text: &str) -> Result<Addresses, String> {
    if let Some(note) = unmarked_note(text) {
        return Err(format!(
            "`{note}` is not an address: write addresses alone, and text about them with the option \
             for that"
        ));
    }
    let addresses = addresses_of_line(text).into_iter();
    let addresses: Result<Vec<String>, AddressError> =
        addresses.map(|one| one.map(String::from)).collect();
    match addresses {
        Ok(addresses) if addresses.is_empty() => Err("an address must not be empty".to_owned()),
        Ok(addresses) => Ok(Addresses(addresses)),
        Err(error) => Err(match &error.hint {
            Some(hint) => format!("{}: {hint}", error.problem),
            None => error.problem,
        }),
    }
}

/// Parses an interface name that Linux allows.
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
        assert!(!error.contains("NAME"), "{error}");
        let error = addresses_after_name("office").expect_err("no address");
        assert!(error.contains("put a NAME before the options"), "{error}");
        for text in ["192.0.2.1", " 2001:db8::/32", "@office", "::"] {
            assert_eq!(address(text).as_deref(), Ok(text.trim()));
        }
        // The parser of addresses explains these better.
        for text in ["*", "0/0", "10/8"] {
            assert_eq!(address(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn commas_separate_addresses_and_one_at_the_end_is_none() {
        let of = |text: &str| addresses(text).map(|one| each(vec![one]).expect("no mask"));
        let pieces = |list: &[&str]| Ok(list.iter().map(|&piece| piece.to_owned()).collect());
        assert_eq!(of("1.1.1.1,"), pieces(&["1.1.1.1"]));
        assert_eq!(of("1.1.1.1,@x, ::1 ,"), pieces(&["1.1.1.1", "@x", "::1"]));
        for text in ["1.1.1.1,,1.2.3.4", ",1.1.1.1", "1.1.1.1,,"] {
            let error = of(text).expect_err(text);
            assert!(error.contains("between two commas"), "{text}: {error}");
        }
        for text in ["", ",", " "] {
            let error = of(text).expect_err(text);
            assert!(error.contains("must not be empty"), "{text}: {error}");
        }
    }

    #[test]
    fn an_argument_of_several_words_is_read_as_a_line() {
        let of = |text: &str| addresses(text).map(|one| each(vec![one]).expect("no mask"));
        for text in [
            "192.0.2.1 192.0.2.2",
            "192.0.2.1; 192.0.2.2",
            "192.0.2.1,\t192.0.2.2",
            " 192.0.2.1\n192.0.2.2 ",
        ] {
            let wanted = ["192.0.2.1", "192.0.2.2"].map(str::to_owned).to_vec();
            assert_eq!(of(text), Ok(wanted), "{text:?}");
        }
        let network = Ok(vec!["192.0.2.0/24".to_owned()]);
        assert_eq!(of("192.0.2.0 netmask 255.255.255.0"), network);
        for (text, part) in [
            ("192.0.2.1 scan", "`scan` is not an address"),
            ("192.0.2.1 - 192.0.2.9", "write 192.0.2.1-192.0.2.9"),
            ("192.0.2.0 255.255.255.0", "write 192.0.2.0/24"),
        ] {
            let error = of(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_mask_among_the_arguments_is_not_an_address() {
        let of = |texts: &[&str]| {
            let arguments = texts.iter().map(|text| addresses(text).expect(text));
            each(arguments.collect())
        };
        for texts in [
            &["10.1.0.0,255.255.0.0"][..],
            &["10.1.0.0", "255.255.0.0"],
            &["192.0.2.1,10.1.0.0", "0.0.255.255"],
        ] {
            let error = of(texts).expect_err("two readings");
            let hint = error.hint.expect("what to write");
            assert!(hint.contains("write 10.1.0.0/16 for the network"), "{hint}");
            assert!(hint.contains("10.1.0.0/32 and "), "{hint}");
        }
        let both = of(&["10.1.0.0/32", "255.255.0.0/32"]).expect("two addresses");
        assert_eq!(both, ["10.1.0.0/32", "255.255.0.0/32"]);
    }

    #[test]
    fn a_duration_or_a_word_in_the_place_of_an_address_is_explained() {
        for (text, part) in [
            ("2h", "did you mean --for 2h?"),
            ("59m58.9s", "did you mean --for 59m58.9s?"),
            ("scan", "quotes around a text of several words"),
            ("DE", "names of hosts and countries are not resolved"),
        ] {
            let error = banned_addresses(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = unbanned_addresses("2h").expect_err("a duration");
        assert!(error.contains("--for 2h --shorten"), "{error}");
        let error = addresses("-").expect_err("no input here");
        assert!(error.contains("standard input is not read here"), "{error}");
        assert!(addresses_or_input("-").is_ok());
        assert!(banned_addresses("192.0.2.1").is_ok());
    }
}
