//! Import and export.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    deployed,
    fake_daemon::{FakeDaemon, answer},
    ipblock_ctl, run, staged, stderr, stdout,
};

const FEED: &str = "192.0.2.1 # ticket 42\n192.0.2.0/24\n192.0.2.1\n198.51.100.1-198.51.100.2\n";

fn daemon() -> FakeDaemon {
    let staged = json!({"staged": 1, "base": 7, "done": ["rule abuse: 4 prefixes added"]});
    FakeDaemon::start(vec![
        answer("POST", "/v1/staged/edits", 200, staged),
        answer("POST", "/v1/deploy", 200, deployed()),
    ])
}

/// Runs `import -` with this on standard input.
fn import(daemon: &FakeDaemon, input: &str, arguments: &[&str]) -> assert_cmd::assert::Assert {
    ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(["import", "-"])
        .args(arguments)
        .write_stdin(input)
        .assert()
}

#[test]
fn an_import_is_one_edit_with_addresses_and_notes() {
    let daemon = daemon();
    let assert = import(&daemon, FEED, &["--into", "abuse", "--replace", "--force"]).code(0);
    assert_eq!(
        stdout(&assert),
        "<stdin> (plain): 4 entries read, 4 prefixes, 258 addresses, 1 duplicate\n\
         rule abuse: 4 prefixes added\n"
    );
    assert_eq!(
        stderr(&assert),
        "staged (1 edit). next: ipblock-ctl diff, then ipblock-ctl deploy\n"
    );
    assert_eq!(
        daemon.requests()[0].body,
        json!({"force": true, "edits": [{"edit": "import", "into": "abuse", "replace": true,
            "addresses": ["192.0.2.1", "192.0.2.0/24", "198.51.100.1", "198.51.100.2"],
            "notes": ["ticket 42", "", "", ""]}]})
    );
}

#[test]
fn refused_lines_are_named_and_nothing_is_sent() {
    let daemon = daemon();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("feed.txt");
    let bad: Vec<String> = (0..25).map(|n| format!("192.0.2.{n}/24\n")).collect();
    fs::write(&path, format!("192.0.2.7\n{}", bad.concat())).expect("written");
    let file = path.to_str().expect("UTF-8");
    let assert = run(&daemon, ["import", file, "--into", "@feed"]).code(2);
    let said = stderr(&assert).replace(file, "feed.txt");
    insta::assert_snapshot!("refused-lines", said);
    assert_eq!(stdout(&assert), "");

    let assert = run(&daemon, ["import", file, "--into", "@feed", "--json"]).code(2);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(
        (&printed["read"], &printed["staged"]),
        (&json!(26), &Value::Null)
    );
    assert_eq!(printed["refused"].as_array().map(Vec::len), Some(24));
    assert_eq!(
        printed["refused"][0],
        json!({"line": 3, "text": "192.0.2.1/24", "problem": "host bits set",
            "hint": "write 192.0.2.0/24, or 192.0.2.1 for the one address"})
    );
    assert_eq!(stderr(&assert), "");
    assert_eq!(daemon.requests().len(), 0);
}

#[test]
fn lenient_imports_the_rest_and_says_what_was_left_out() {
    let daemon = daemon();
    let text = "add a 192.0.2.1 timeout 60\nadd a 192.0.2.2 nomatch\nadd a 192.0.2.0/8\n";
    let assert = import(&daemon, text, &["--into", "abuse", "--lenient", "--deploy"]).code(0);
    assert_eq!(
        stdout(&assert),
        "<stdin> (ipset): 3 entries read, 1 prefix, 1 address, 2 refused\n\
         rule abuse: 4 prefixes added\n\
         deployed revision 8: 1 rule, 2 entries (built in 3 ms, switched in 1 ms)\n"
    );
    assert_eq!(
        stderr(&assert),
        "left out: <stdin>:2: `192.0.2.2`: `nomatch` entry\n\
         left out: <stdin>:3: `192.0.2.0/8`: host bits set\n\
         1 entry has an end, which import drops: --as-bans in the place of --into bans \
         until then\n"
    );
    let assert = import(&daemon, text, &["--into", "abuse", "--lenient", "--json"]).code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("one JSON value");
    assert_eq!(printed["staged"]["staged"], json!(1));
    assert_eq!(printed["prefixes"], json!(1));
    let asked = daemon.requests();
    let last = asked.last().expect("a request");
    assert_eq!(last.body["edits"][0]["addresses"], json!(["192.0.2.1"]));
    assert!(last.body["edits"][0].get("notes").is_none());
}

#[test]
fn several_sets_are_refused_and_one_is_chosen() {
    let daemon = daemon();
    let saved = "create whitelist hash:net family inet\nadd whitelist 192.0.2.10\n\
                 create blacklist hash:net family inet\nadd blacklist 198.51.100.0/24\n";
    for lenient in [&["--into", "abuse"][..], &["--into", "abuse", "--lenient"]] {
        let assert = import(&daemon, saved, lenient).code(2);
        let said = stderr(&assert);
        let sets = "2 sets in one file: whitelist (1 entry), blacklist (1 entry)";
        assert!(said.contains(sets) && said.contains("--set NAME"), "{said}");
    }
    assert_eq!(daemon.requests().len(), 0);
    let arguments = ["--into", "abuse", "--set", "blacklist"];
    let assert = import(&daemon, saved, &arguments).code(0);
    let expected = "<stdin> (ipset): 1 entry read, 1 prefix, 256 addresses\n";
    assert!(stdout(&assert).starts_with(expected), "{}", stdout(&assert));
    let body = &daemon.requests()[0].body;
    assert_eq!(body["edits"][0]["addresses"], json!(["198.51.100.0/24"]));
}

#[test]
fn what_is_passed_over_or_read_in_another_way_is_said() {
    let daemon = daemon();
    let text = r#"{"addresses": ["::ffff:192.0.2.7"], "values": [{"at": ["192.0.2.8"]}]}"#;
    let assert = import(&daemon, text, &["--into", "abuse", "--deploy"]).code(0);
    assert_eq!(
        stderr(&assert),
        "1 IPv4-mapped address (::ffff:192.0.2.1) is read as IPv4\n\
         warning: not read: `values` (1 entry)\n"
    );
    let assert = import(&daemon, text, &["--into", "abuse", "--json"]).code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("one JSON value");
    assert_eq!(printed["addresses"], json!("1"));
    assert_eq!(printed["mapped"], json!(1));
    let passed = json!([{"what": "values", "count": 1}]);
    assert_eq!(printed["passed_over"], passed);
}

#[test]
fn the_only_place_with_addresses_is_said() {
    let daemon = daemon();
    let text = r#"{"values": [{"properties": {"addressPrefixes": ["192.0.2.0/24"]}}]}"#;
    let assert = import(&daemon, text, &["--into", "abuse", "--deploy"]).code(0);
    let said = "the addresses are those at `.values[].properties.addressPrefixes[]`\n";
    assert_eq!(stderr(&assert), said);
    let two = r#"{"hooks": ["192.0.2.0/24"], "web": ["198.51.100.0/24"]}"#;
    let assert = import(&daemon, two, &["--into", "abuse"]).code(2);
    let hint = "--at '.hooks[]'; there is .hooks[] (1 address), .web[] (1 address)";
    assert!(stderr(&assert).contains(hint), "{}", stderr(&assert));
}

#[test]
fn a_file_that_is_not_text_is_told_in_one_line() {
    let daemon = daemon();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("feed.gz");
    fs::write(&path, b"\x1f\x8b\x08\0\0\0\0\0").expect("written");
    let file = path.to_str().expect("UTF-8");
    let assert = run(&daemon, ["import", file, "--into", "@feed"]).code(2);
    assert_eq!(
        stderr(&assert).replace(file, "feed.gz"),
        "error: feed.gz: gzip data that is cut off\n\
         hint: fetch the file again, or unpack it with gzip -d to see what is in it\n"
    );
}

#[test]
fn what_cannot_be_imported_is_bad_input() {
    let daemon = daemon();
    let assert = import(&daemon, "# nothing\n", &["--into", "abuse"]).code(2);
    assert_eq!(
        stderr(&assert),
        "error: <stdin>: there is no address to import\n\
         hint: see what the file holds, or name its format with --format\n"
    );
    run(&daemon, "import /nonexistent --into abuse").code(2);
    run(&daemon, "import / --into abuse").code(2);
    assert_eq!(daemon.requests().len(), 0);
}

const RULESET: &str = r#"
[list.office]
match = [{ at = "203.0.113.0/28", note = "first floor" }]
[allow]
match = ["@office"]
[[rule]]
name = "abuse"
action = "block"
match = ["192.0.2.0/25", { at = "192.0.2.128/25", note = "a, b" }, "2001:db8::/32"]
except = ["192.0.2.1"]
[[rule]]
name = "watch"
action = "warn"
match = ["198.51.100.0/24"]
"#;

fn with_ruleset() -> FakeDaemon {
    let body = json!({"revision": 7, "ruleset": RULESET});
    FakeDaemon::start(vec![
        answer("GET", "/v1/ruleset?which=deployed", 200, body),
        answer(
            "POST",
            "/v1/apply",
            200,
            json!({"changed": true, "diff": null, "deployed": null}),
        ),
    ])
}

#[test]
fn every_format_is_exported() {
    let daemon = with_ruleset();
    for (name, arguments) in [
        ("json", "--format json"),
        ("csv", "--format csv"),
        ("plain", "--format plain"),
        ("nft", "--format nft"),
        ("ipset", "--format ipset"),
        ("rule", "--rule abuse"),
        ("rule-ipset", "--rule abuse --format ipset"),
        ("list", "--list @office"),
        ("allow-csv", "--allow --format csv"),
    ] {
        let assert = run(&daemon, format!("export {arguments}")).code(0);
        insta::assert_snapshot!(format!("export-{name}"), stdout(&assert));
        assert_eq!(stderr(&assert), "", "{name}");
    }
    assert_eq!(stdout(&run(&daemon, "export").code(0)), RULESET);
}

#[test]
fn parts_that_cannot_be_exported_are_bad_input() {
    let daemon = with_ruleset();
    for (arguments, error) in [
        (
            "--rule abus",
            "error: there is no rule `abus`\nhint: `ipblock-ctl rule list` names them; --staged \
             exports what is staged\n",
        ),
        (
            "--rule abuse --format json",
            "error: toml and json hold the whole ruleset, not a part of it\n\
             hint: write --format plain, csv, nft or ipset\n",
        ),
    ] {
        let assert = run(&daemon, format!("export {arguments}")).code(2);
        assert_eq!(stderr(&assert), error);
    }
}

#[test]
fn a_ruleset_in_json_is_applied_as_its_toml() {
    let daemon = with_ruleset();
    let exported = stdout(&run(&daemon, "export --format json").code(0));
    let assert = ipblock_ctl()
        .args(["lint", "-", "--json"])
        .write_stdin(exported)
        .assert()
        .code(0);
    let report: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(
        (&report["rules"], &report["file"]),
        (&json!(2), &json!("<stdin> (as TOML)"))
    );
    let assert = ipblock_ctl()
        .args(["lint", "-"])
        .write_stdin("{\"rule\": [null]}")
        .assert()
        .code(2);
    assert!(
        stderr(&assert).starts_with("error: <stdin>: no ruleset in JSON: "),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn a_closed_pipe_ends_an_export_without_an_error() {
    let daemon = with_ruleset();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(["export", "--format", "nft"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    drop(child.stdout.take());
    let mut said = String::new();
    let mut errors = child.stderr.take().expect("a pipe");
    errors.read_to_string(&mut said).expect("UTF-8");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    assert_eq!(said, "");
}

#[test]
fn an_export_can_be_imported_again() {
    let source = with_ruleset();
    for format in ["plain", "csv", "nft", "ipset"] {
        let exported = stdout(&run(
            &source,
            ["export", "--format", format, "--list", "office"],
        ));
        let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 200, staged(1))]);
        import(&daemon, &exported, &["--into", "@copy"]).code(0);
        let edit = &daemon.requests()[0].body["edits"][0];
        assert_eq!(edit["addresses"], json!(["203.0.113.0/28"]), "{format}");
        if format != "nft" {
            assert_eq!(edit["notes"], json!(["first floor"]), "{format}");
        }
    }
}
