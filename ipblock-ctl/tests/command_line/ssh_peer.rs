//! What the command reports to the daemon about its SSH session.

use serde_json::json;

use crate::{
    fake_daemon::{FakeDaemon, answer},
    ipblock_ctl, stderr,
};

fn told(variables: &[(&str, &str)]) -> Option<String> {
    let daemon = FakeDaemon::start(vec![answer(
        "GET",
        "/v1/rules?elements=200",
        200,
        json!([]),
    )]);
    ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .envs(variables.iter().copied())
        .args(["rule", "list"])
        .assert()
        .code(0);
    let requests = daemon.requests();
    requests.first().expect("a request").ssh_peer.clone()
}

#[test]
fn the_override_is_told_instead_of_what_is_found() {
    let session = ("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22");
    let addresses = ("IPBLOCK_SSH_PEER", "198.51.100.7,2001:db8::7");
    let both = told(&[session, addresses]);
    assert_eq!(both.as_deref(), Some("198.51.100.7,2001:db8::7"));
    assert_eq!(told(&[session, ("IPBLOCK_SSH_PEER", "none")]), None);
}

/// The person who runs this test may have an SSH session, too.
#[test]
fn the_session_of_the_environment_is_told() {
    let text = told(&[
        ("IPBLOCK_SSH_PEER", ""),
        ("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22"),
        ("SSH_CLIENT", "2001:db8::7 50000 22"),
    ]);
    let text = text.expect("a header");
    let told: Vec<_> = text.split(',').collect();
    assert!(told.contains(&"192.0.2.7"), "{text}");
    assert!(told.contains(&"2001:db8::7"), "{text}");
}

#[test]
fn an_override_that_is_no_address_is_bad_input() {
    let assert = ipblock_ctl()
        .env("IPBLOCK_SSH_PEER", "office")
        .arg("status")
        .assert()
        .code(2);
    let text = stderr(&assert);
    assert!(
        text.starts_with("error: IPBLOCK_SSH_PEER=office: "),
        "{text}"
    );
    assert!(text.contains("hint: write IPBLOCK_SSH_PEER="), "{text}");
}
