//! The installed example, and the messages about mistakes.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::settings::{
    AlertsConfig, DEFAULT_FILE_KEEP, DEFAULT_FILE_MAX, DEFAULT_SINK_QUEUE, DEFAULT_WEBHOOK_BATCH,
    DEFAULT_WEBHOOK_TIMEOUT, SinkConfig, SinkTarget,
};

/// The installed example.
const EXAMPLE: &str = include_str!("../../../../packaging/ipblockd.toml");

fn parse(text: &str) -> Result<ConfigFile, String> {
    ConfigFile::parse(text, Path::new("d.toml")).map_err(|error| error.to_string())
}

#[test]
fn the_example_says_nothing_but_the_defaults_as_it_stands() {
    assert_eq!(parse(EXAMPLE), Ok(ConfigFile::default()));
}

#[test]
fn the_example_without_its_comment_signs_sets_every_key() {
    let all: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let file = parse(&all).unwrap();
    assert!(file.socket.is_some() && file.state_dir.is_some() && file.bpffs.is_some());
    assert!(file.interfaces.is_some() && file.capacity.is_some() && file.bpf_log.is_some());
    assert!(file.lists_dir.is_some() && file.lists.max_shrink.is_some());
    assert!(file.guard.ssh_ports.is_some());
    assert!(file.metrics.listen.is_some() && file.log.format.is_some());

    // Values that the example calls defaults are defaults.
    let default = AlertsConfig::default();
    let alerts = file.alerts.resolve(default.clone());
    let kinds = [
        SinkTarget::Log,
        SinkTarget::File {
            path: "/var/log/ipblock/alerts.jsonl".into(),
            max_bytes: DEFAULT_FILE_MAX,
            keep: DEFAULT_FILE_KEEP,
        },
        SinkTarget::Webhook {
            url: "https://alerts.example.com/ipblock".to_owned(),
            headers: Vec::new(),
            timeout: DEFAULT_WEBHOOK_TIMEOUT,
            batch: DEFAULT_WEBHOOK_BATCH,
        },
    ];
    let sinks = ["log", "file", "webhook"].into_iter().zip(kinds);
    let sinks = sinks.map(|(name, target)| SinkConfig {
        name: name.to_owned(),
        queue: DEFAULT_SINK_QUEUE,
        target,
    });
    let sinks = sinks.collect();
    assert_eq!(alerts, AlertsConfig { sinks, ..default });
}

#[test]
fn every_key_is_explained_above_it() {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        if line.contains(" = ") && !line.starts_with("# ") {
            let above = lines[..number].iter().rev().take_while(|l| !l.is_empty());
            assert!(above.clone().any(|l| l.starts_with("# ")), "{line}");
        }
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_value() {
    for (text, said) in [
        ("colour = 1", "d.toml:1:1: unknown field `colour`"),
        ("\n[guard]\nssh_port = [22]", "d.toml:3:1: unknown field"),
        ("socket = 7", "d.toml:1:10: invalid type: integer `7`"),
        (
            "socket = \"a.sock\"",
            "d.toml:1:10: `a.sock` is not an absolute",
        ),
        ("capacity = 0", "d.toml:1:12: invalid value: integer `0`"),
        ("capacity = -1", "d.toml:1:12: "),
        ("bpf_log = \"all\"", "d.toml:1:11: `all` is neither `off`"),
        (
            "interfaces = [\"eth0\",\n  \"eth1=fast\"]",
            "d.toml:1:14: mode `fast` is none of",
        ),
        (
            "interfaces = [\"eth0\", \"eth0@lan\"]",
            "d.toml:1:14: interface `eth0` stands here twice",
        ),
        (
            "[lists]\nmax_shrink = 1.5",
            "d.toml:2:14: invalid value: floating point `1.5`, expected a share from 0.0",
        ),
        ("[lists]\nmax_shrink = nan", "d.toml:2:14: "),
        ("[guard]\nssh_ports = [70000]", "d.toml:2:14: "),
        ("[guard]\nssh_ports = [0]", "d.toml:2:14: "),
        ("socket = ", "d.toml:1:10: "),
        ("[alerts]\nrat = 1", "d.toml:2:1: unknown field `rat`"),
        (
            "[alerts]\nwindow = \"25h\"",
            "d.toml:2:10: `25h` is out of bounds: write 1s to 24h",
        ),
        (
            "[alerts]\nwindow = \"60\"",
            "d.toml:2:10: `60`: a duration needs a unit: write 60s",
        ),
        (
            "[alerts]\nwindow = 60",
            "d.toml:2:10: invalid type: integer `60`",
        ),
        (
            "[alerts]\nwindow = 60",
            "d.toml:2:10: invalid type: integer `60`, expected a duration in quotes",
        ),
        (
            "[alerts.sink]\ntype = \"log\"",
            "d.toml:1:1: invalid type: map, expected `[[alerts.sink]]`, with two pairs of brackets",
        ),
        (
            "[alerts]\nrate = 0",
            "d.toml:2:8: 0 is out of bounds: write 1 to 100000",
        ),
        ("[alerts]\nkeep = -1", "d.toml:2:8: -1 is out of bounds"),
        (
            "[alerts]\nkeep_for = \"1mo\"",
            "d.toml:2:12: `1mo`: months and years differ",
        ),
        (
            "[metrics]\nlisten = \"localhost\"",
            "d.toml:2:10: `localhost` is not an address with a port: write \"127.0.0.1:9477\"",
        ),
        (
            "[metrics]\nlisten = 70000",
            "d.toml:2:10: `70000` is not an address",
        ),
        (
            "[log]\nformat = \"xml\"",
            "d.toml:2:10: `xml` is none of `auto`, `text` and `json`",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.starts_with(said), "{text}: {error}");
        assert!(!error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn only_a_file_that_was_named_has_to_exist() {
    let missing = Path::new("/nonexistent/ipblockd.toml");
    let error = ConfigFile::load(Some(missing)).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/ipblockd.toml: "));
}

#[test]
fn metrics_are_served_on_the_loopback_address_unless_told_otherwise() {
    for (text, expected) in [
        ("9477", "127.0.0.1:9477"),
        ("\"9477\"", "127.0.0.1:9477"),
        ("\":9477\"", "127.0.0.1:9477"),
        ("\"0.0.0.0:9477\"", "0.0.0.0:9477"),
        ("\"[::1]:9477\"", "[::1]:9477"),
    ] {
        let file = parse(&format!("metrics.listen = {text}")).unwrap();
        assert_eq!(file.metrics.listen, expected.parse().ok(), "{text}");
    }
}

fn sinks(text: &str) -> Result<Vec<SinkConfig>, String> {
    let default = AlertsConfig::default();
    parse(text).map(|file| file.alerts.resolve(default).sinks)
}

#[test]
fn without_any_sink_alerts_are_logged_and_an_empty_list_is_none() {
    let [default] = sinks("").unwrap().try_into().unwrap();
    assert_eq!(default.target, SinkTarget::Log);
    assert_eq!(sinks("[alerts]\nrate = 7").unwrap(), [default]);
    assert_eq!(sinks("[alerts]\nsink = []").unwrap(), []);
}

#[test]
fn the_values_of_headers_stand_here_or_in_files() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "Bearer abc\n").unwrap();
    let text = |headers: &str| {
        format!("[[alerts.sink]]\ntype = \"webhook\"\nurl = \"http://h/\"\nheaders = {headers}\n")
    };
    let from_file = text(&format!(
        "{{ Authorization = {{ file = \"{}\" }} }}",
        token.display()
    ));
    let file = parse(&from_file).unwrap();
    let sinks = file.alerts.sinks.unwrap();
    assert!(!sinks.holds_secrets);
    let target = sinks.configs.into_iter().next().unwrap().target;
    let SinkTarget::Webhook { headers, .. } = target else {
        panic!("no webhook");
    };
    assert_eq!(
        headers,
        [("Authorization".to_owned(), "Bearer abc".to_owned())]
    );

    let file = parse(&text("{ X-Key = \"k\" }")).unwrap();
    assert!(file.alerts.sinks.as_ref().unwrap().holds_secrets);
    let path = directory.path().join("ipblockd.toml");
    fs::write(&path, "").unwrap();
    for (mode, is_told) in [(0o644, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(file.shown_secrets(&path).is_some(), is_told, "{mode:o}");
    }

    fs::write(&token, "\n").unwrap();
    let error = parse(&from_file).unwrap_err();
    let told = format!("d.toml:4:29: {} is empty", token.display());
    assert_eq!(error, told);
    fs::remove_file(&token).unwrap();
    let error = parse(&from_file).unwrap_err();
    let told = format!("d.toml:4:29: cannot read {}: No such file", token.display());
    assert!(error.starts_with(&told), "{error}");
}

#[test]
fn what_is_wrong_with_a_sink_is_told_with_its_number_and_place() {
    const LOG: &str = "[[alerts.sink]]\ntype = \"log\"\n";
    const FILE: &str = "[[alerts.sink]]\ntype = \"file\"\n";
    const HOOK: &str = "[[alerts.sink]]\ntype = \"webhook\"\n";
    for (text, said) in [
        (
            "[[alerts.sink]]\ntype = \"mail\"".to_owned(),
            "2:8: unknown variant `mail`, expected one of `log`, `file`, `webhook`",
        ),
        (format!("{LOG}colour = 1"), "3:1: unknown field `colour`"),
        (
            format!("{LOG}path = \"/a\""),
            "1:1: sink 1 (`log`) has no `path`: that is of a `file`",
        ),
        (
            format!("{LOG}{FILE}path = \"/a\"\nbatch = 1"),
            "3:1: sink 2 (`file`) has no `batch`: that is of a `webhook`",
        ),
        (FILE.to_owned(), "1:1: sink 1 (`file`) needs a `path`"),
        (HOOK.to_owned(), "1:1: sink 1 (`webhook`) needs a `url`"),
        (
            format!("{LOG}{LOG}"),
            "3:1: sinks 1 and 2 are both called `log`: give each a `name` of its own",
        ),
        (
            format!("{FILE}path = \"/a\"\n{FILE}path = \"/a\"\nname = \"b\""),
            "4:1: sinks 1 and 2 both write `/a`",
        ),
        (
            format!("{LOG}name = \"a b\""),
            "3:8: `a b` is not a name for a sink",
        ),
        (
            format!("{LOG}queue = 0"),
            "3:9: 0 is out of bounds: write 1 to 1000000",
        ),
        (
            format!("{FILE}path = \"a\""),
            "3:8: `a` is not an absolute path",
        ),
        (
            format!("{FILE}max_size = \"1KiB\""),
            "3:12: `1KiB` is not a size",
        ),
        (
            format!("{FILE}max_size = 67108864"),
            "3:12: invalid type: integer `67108864`, expected a size in quotes, as in \"64MiB\"",
        ),
        (
            format!("{FILE}max_size = \"64MB\""),
            "3:12: `64MB` is not a size",
        ),
        (
            format!("{HOOK}timeout = \"6m\""),
            "3:11: `6m` is out of bounds",
        ),
        (
            format!("{HOOK}url = \"ftp://h/SECRET\""),
            "3:7: not a url of a web server",
        ),
        (format!("{HOOK}url = \"h SECRET\""), "3:7: not a url: write"),
        (
            format!("{HOOK}url = \"http://u:SECRET@h/\""),
            "3:7: a url holds no user and password here",
        ),
        (
            format!("{HOOK}headers = {{ \"a b\" = \"\" }}"),
            "3:11: `a b` is not the name of a header",
        ),
        (
            format!("{HOOK}headers = {{ Content-Type = \"\" }}"),
            "3:11: header `Content-Type` is set by ipblockd itself",
        ),
        (
            format!("{HOOK}headers = {{ a = \"SECRET\", A = \"\" }}"),
            "3:11: header `a` stands here twice",
        ),
        (
            format!("{HOOK}headers = {{ a = \"SECRET\\n\" }}"),
            "3:17: the value of a header is one line",
        ),
        (
            format!("{HOOK}headers = {{ a = 7 }}"),
            "3:17: the value of a header is a text, or",
        ),
    ] {
        let error = sinks(&text).expect_err(&text);
        let said = format!("d.toml:{said}");
        assert!(error.starts_with(&said), "{text}: {error}");
        assert!(!error.contains("SECRET"), "{text}: {error}");
    }
}

#[test]
fn a_sink_without_a_type_is_told_with_its_name_and_place() {
    for (text, said) in [
        (
            "[[alerts.sink]]\n",
            "1:1: sink 1 needs a `type`: write type = \"log\", \"file\" or \"webhook\"",
        ),
        (
            "[[alerts.sink]]\ntype = \"log\"\n[[alerts.sink]]\nname = \"soc\"",
            "3:1: sink 2 (`soc`) needs a `type`: write",
        ),
        (
            "alerts.sink = [{ type = \"log\" },\n  { name = \"soc\" }]",
            "2:3: sink 2 (`soc`) needs a `type`: write",
        ),
        (
            "alerts.sink = [7]",
            "1:16: invalid type: integer `7`, expected a table, as in { type = \"log\" }",
        ),
    ] {
        let error = sinks(text).expect_err(text);
        assert!(
            error.starts_with(&format!("d.toml:{said}")),
            "{text}: {error}"
        );
    }
}

#[test]
fn every_mistake_is_told_once_and_in_order() {
    let text = r#"sockett = "/x"
socket = "relative"
capacity = 0
[alert]
rate = 1
[alerts]
rat = 1
window = "25h"
[[alerts.sink]]
type = "file"
path = "relative"
[[alerts.sink]]
type = "fil"
[[alerts.sink]]
type = "webhook"
[[alerts.sink]]
type = "webhook"
url = "https://alerts.example.com"
name = "x y"
queue = 0
"#;
    let told = parse(text).unwrap_err();
    insta::assert_snapshot!(told, @"
    d.toml:1:1: unknown field `sockett`: did you mean `socket`?
    d.toml:2:10: `relative` is not an absolute path: write it from the root, as in /var/lib/ipblock
    d.toml:3:12: invalid value: integer `0`, expected a nonzero u32
    d.toml:4:2: unknown field `alert`: did you mean `alerts`?
    d.toml:7:1: unknown field `rat`: did you mean `rate`?
    d.toml:8:10: `25h` is out of bounds: write 1s to 24h
    d.toml:11:8: `relative` is not an absolute path: write it from the root, as in /var/lib/ipblock
    d.toml:13:8: unknown variant `fil`, expected one of `log`, `file`, `webhook`
    d.toml:14:1: sink 3 (`webhook`) needs a `url`
    d.toml:19:8: `x y` is not a name for a sink: 1 to 32 letters, digits, `_`, `-` and `.`
    d.toml:20:9: 0 is out of bounds: write 1 to 1000000
    ");
}
