//! Help texts, and the meaning of arguments.

use clap::{Command, Parser as _, error::ErrorKind};

use super::{Cli, command};

fn help_of(mut command: Command, path: &str, seen: &mut Vec<String>) {
    let name = path.replace(' ', "-");
    insta::assert_snapshot!(format!("help-{name}"), command.render_long_help());
    seen.push(path.to_owned());
    for subcommand in command.get_subcommands() {
        let path = format!("{path} {}", subcommand.get_name());
        help_of(subcommand.clone(), &path, seen);
    }
}

#[test]
fn every_command_has_a_help_text() {
    // Otherwise the test would depend on its environment.
    let mut command = command().term_width(80);
    command.build();
    let mut seen = Vec::new();
    help_of(command, "ipblock-ctl", &mut seen);
    assert_eq!(seen.len(), 60, "{seen:#?}");
}

fn refused(line: &str) -> clap::Error {
    match parse(line) {
        Ok(cli) => panic!("`{line}` was taken as {cli:?}"),
        Err(error) => error,
    }
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in [
        "ipblock-ctl --socket /s --json --color never rule list",
        "ipblock-ctl rule list --socket /s --json --color never",
        "ipblock-ctl rule --json list --color=never --socket=/s",
    ] {
        let global = parse(line).expect(line).global;
        assert_eq!(global.socket.to_str(), Some("/s"), "{line}");
        assert!(global.json, "{line}");
        assert_eq!(global.color, super::ColorChoice::Never, "{line}");
    }
}

#[test]
fn typing_errors_are_corrected() {
    for (line, correction) in [
        ("ipblock-ctl statsu", "'status'"),
        ("ipblock-ctl rule ad", "'add'"),
        ("ipblock-ctl diff --jsno", "'--json'"),
        ("ipblock-ctl rule list --sort packet", "'packets'"),
        ("ipblock-ctl attach eth0 --mode natve", "'native'"),
        ("ipblock-ctl exeption list", "'exception'"),
        ("ipblock-ctl exception list --sort adress", "'address'"),
        ("ipblock-ctl list lst", "'list'"),
        ("ipblock-ctl list list --sort entrys", "'entries'"),
        ("ipblock-ctl allow list --sort zon", "'zone'"),
    ] {
        let error = refused(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        let text = error.to_string();
        assert!(text.contains(correction), "{line}: {text}");
    }
}

#[test]
fn addresses_are_separated_by_spaces_commas_or_repetition() {
    let line = "ipblock-ctl rule add abuse --match 192.0.2.1,192.0.2.2 @x --action block \
                --match 2001:db8:: --except 192.0.2.3 192.0.2.4";
    let text = format!("{:?}", parse(line).expect(line));
    let text = text.replace("Addresses([", "").replace("])", "");
    assert!(
        text.contains(r#"matches: ["192.0.2.1", "192.0.2.2", "@x", "2001:db8::"]"#),
        "{text}"
    );
    assert!(
        text.contains(r#"except: ["192.0.2.3", "192.0.2.4"]"#),
        "{text}"
    );
}

#[test]
fn every_verb_takes_commas_between_addresses_and_at_the_end() {
    for verb in [
        "ban --for 1h",
        "unban",
        "check",
        "allow add",
        "allow remove",
        "list add office",
        "list remove office",
        "list set office",
        "exception add abuse",
        "exception remove abuse",
        "rule add abuse --action block --match",
        "rule add abuse --action block --match 192.0.2.9 --except",
        "rule edit abuse --add-match",
        "rule edit abuse --remove-match",
        "rule edit abuse --add-except",
        "rule edit abuse --remove-except",
    ] {
        let line = format!("ipblock-ctl {verb} 192.0.2.1, 192.0.2.2,192.0.2.3");
        let text = format!("{:?}", parse(&line).expect(&line));
        let pieces = r#"Addresses(["192.0.2.1"]), Addresses(["192.0.2.2", "192.0.2.3"])"#;
        assert!(text.contains(pieces), "{line}: {text}");
        let error = refused(&format!("ipblock-ctl {verb} 192.0.2.1,,192.0.2.2"));
        assert!(error.to_string().contains("between two commas"), "{verb}");
    }
}

#[test]
fn negative_and_endless_durations_are_refused_with_the_cure() {
    for (line, part) in [
        ("ban 192.0.2.1 --for -1s", "--permanent for no end"),
        ("ban 192.0.2.1 --for -1", "--permanent for no end"),
        ("ban 192.0.2.1 --for=-822.640361ms", "not negative"),
        ("ban 192.0.2.1 --for permanent", "write --permanent"),
        ("ban 192.0.2.1 --for --reason x", "the duration is missing"),
        ("rule edit abuse --for -2h", "--permanent for no end"),
        ("deploy --confirm-within -60s", "not negative"),
        ("panic-off --for -1m", "not negative"),
        ("counters --watch --interval -1s", "not negative"),
    ] {
        let error = refused(&format!("ipblock-ctl {line}"));
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(part), "{line}: {error}");
    }
}

#[test]
fn a_name_after_the_addresses_is_noticed() {
    let error = refused("ipblock-ctl rule add --action block --match 192.0.2.1 abuse");
    assert_eq!(error.kind(), ErrorKind::ValueValidation);
    assert!(
        error.to_string().contains("put a NAME before the options"),
        "{error}"
    );
}

#[test]
fn values_that_cannot_be_meant_are_usage_errors() {
    let add = "ipblock-ctl rule add abuse --action block --match 192.0.2.1";
    for (rest, part) in [
        ("--for 0", "--permanent in the place of --for"),
        ("--for 90", "write 90s"),
        ("--for 0s", "write 1s or more"),
        ("--for 2h --until 2100-01-01", "cannot be used with"),
        ("--for 2h --permanent", "cannot be used with"),
        ("--until 2001-01-01", "in the past"),
        ("--zone a/b", "zone name `a/b` may hold only"),
        ("--comment x", "--deploy"),
    ] {
        let error = refused(&format!("{add} {rest}"));
        assert_eq!(error.exit_code(), 2, "{rest}");
        assert!(error.to_string().contains(part), "{rest}: {error}");
    }
    for line in [
        "ipblock-ctl",
        "ipblock-ctl rule",
        "ipblock-ctl rule add abuse --action block",
        "ipblock-ctl rule add abuse --match 192.0.2.1",
        "ipblock-ctl rule add abuse --match 192.0.2.1 --action allow",
        "ipblock-ctl rule show a/b",
        "ipblock-ctl rule edit abuse --enable --disable",
        "ipblock-ctl rule remove",
        "ipblock-ctl allow add",
        "ipblock-ctl exception add abuse",
        "ipblock-ctl exception edit abuse 192.0.2.1",
        "ipblock-ctl exception remove abuse",
        "ipblock-ctl exception list --rule a/b",
        "ipblock-ctl list show a/b",
        "ipblock-ctl list add office",
        "ipblock-ctl list add office headquarters",
        "ipblock-ctl list set office",
        "ipblock-ctl list set office 192.0.2.1 --file office.txt",
        "ipblock-ctl list set office --file office.txt --note x",
        "ipblock-ctl attach a/b",
        "ipblock-ctl check",
        "ipblock-ctl ban",
        "ipblock-ctl ban 192.0.2.1 --for 2h --v6-prefix 0",
        "ipblock-ctl unban",
        "ipblock-ctl convert",
        "ipblock-ctl export --format xml",
        "ipblock-ctl export --rule a --allow",
        "ipblock-ctl import feed.txt",
        "ipblock-ctl import feed.txt --into @",
        "ipblock-ctl import feed.txt --into a/b",
        "ipblock-ctl status --color sometimes",
        "ipblock-ctl alerts --limit 0",
        "ipblock-ctl alerts --limit 100001",
        "ipblock-ctl alerts --since 90",
        "ipblock-ctl alerts --since tomorrow",
        "ipblock-ctl alerts --rule a/b",
        "ipblock-ctl alerts --source office",
        "ipblock-ctl top --by name",
        "ipblock-ctl top --limit 0",
        "ipblock-ctl counters --interval 5s",
        "ipblock-ctl counters --watch --interval 0s",
    ] {
        assert_eq!(refused(line).exit_code(), 2, "{line}");
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_with_what_to_write() {
    for (line, advice) in [
        (
            "ipblock-ctl top --limit 0",
            "write a number, 1 to 4294967295",
        ),
        (
            "ipblock-ctl top --limit ten",
            "write a number, 1 to 4294967295",
        ),
        (
            "ipblock-ctl counters --watch --interval 0s",
            "a duration is not 0: write 1s or more",
        ),
        (
            "ipblock-ctl counters --watch --interval -500ms",
            "a duration is not negative",
        ),
        (
            "ipblock-ctl counters --watch --interval 5",
            "a duration needs a unit: write 5s",
        ),
    ] {
        let error = refused(line).to_string();
        assert!(error.contains(advice), "{line}: {error}");
    }
}
