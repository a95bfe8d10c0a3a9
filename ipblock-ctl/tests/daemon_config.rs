//! `ipblockd --check-config` as scripts see it, and a daemon that is given a bad file.

#![expect(
    clippy::expect_used,
    reason = "only test functions are exempt, and these stand beside them"
)]

use std::{fs, path::PathBuf, time::Duration};

use assert_cmd::assert::Assert;
use tempfile::TempDir;

fn ipblockd(arguments: &[&str], config: &str) -> (Assert, PathBuf, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ipblockd.toml");
    fs::write(&path, config).expect("written");
    let assert = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ipblockd"))
        .timeout(Duration::from_secs(30))
        .arg("--config")
        .arg(&path)
        .args(arguments)
        .assert();
    (assert, path, directory)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn a_good_file_is_summed_up_and_nothing_is_made() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let state_dir = elsewhere.path().join("state");
    let config = format!(
        "state_dir = \"{}\"\ninterfaces = [\"eth0=native@lan\"]\n",
        state_dir.display()
    );
    let (assert, path, _directory) = ipblockd(&["--check-config", "--capacity", "7"], &config);
    let output = assert.code(0).get_output().clone();
    let stdout = text(&output.stdout);
    let first = format!("ok: {}\n", path.display());
    assert!(stdout.starts_with(&first), "{stdout}");
    assert!(stdout.contains("eth0=native@lan"), "{stdout}");
    assert!(stdout.contains("capacity        7\n"), "{stdout}");
    assert_eq!(text(&output.stderr), "");
    assert!(!state_dir.exists());
}

#[test]
fn a_bad_file_exits_with_2_and_says_where() {
    for check in [&["--check-config"][..], &[]] {
        let (assert, path, _directory) = ipblockd(check, "capacity = 7\ncolour = \"red\"\n");
        let output = assert.code(2).get_output().clone();
        let stderr = text(&output.stderr);
        let place = format!("error: {}:2:1: unknown field `colour`", path.display());
        assert!(stderr.starts_with(&place), "{stderr}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_bad_flag_exits_with_2() {
    let (assert, _path, _directory) = ipblockd(&["--check-config", "--interface", "a/b"], "");
    assert.code(2);
}

#[test]
fn a_file_sink_that_cannot_be_written_exits_with_2_and_says_what_to_do() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let at = |name: &str| elsewhere.path().join(name).display().to_string();
    let check = |path: &str| {
        let config =
            format!("[[alerts.sink]]\ntype = \"file\"\nname = \"archive\"\npath = \"{path}\"\n");
        let (assert, ..) = ipblockd(&["--check-config"], &config);
        let output = assert.get_output().clone();
        (output.status.code(), text(&output.stderr))
    };
    fs::write(at("file"), "").expect("written");
    for (path, why, hint) in [
        (
            at("missing/a.jsonl"),
            format!("the directory {} does not exist", at("missing")),
            format!(
                "make it (mkdir -p {}), or write another `path`",
                at("missing")
            ),
        ),
        (
            at("file/a.jsonl"),
            format!("{} is not a directory", at("file")),
            "write another `path`".to_owned(),
        ),
        (
            at("file/deep/a.jsonl"),
            format!("{} is not in a directory", at("file/deep")),
            "write another `path`".to_owned(),
        ),
        (
            at(""),
            "it is not a regular file".to_owned(),
            "write another `path`".to_owned(),
        ),
    ] {
        let told = format!("error: sink `archive` cannot write {path}: {why}\nhint: {hint}\n");
        assert_eq!(check(&path), (Some(2), told));
    }
    fs::create_dir(at("missing")).expect("made");
    assert_eq!(check(&at("missing/a.jsonl")), (Some(0), String::new()));
    assert_eq!(check(&at("file")), (Some(0), String::new()));
}
