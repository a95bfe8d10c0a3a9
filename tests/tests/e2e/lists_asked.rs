//! Lists that an operator asks about: what covers an address, and what is in the file now.

use ipblock_tests::require_privileged;

use crate::{answers::status, lists::Lists};

#[test]
fn a_list_says_what_in_it_covers_an_address() -> anyhow::Result<()> {
    let lists = Lists::with_feed(
        require_privileged!(),
        "192.0.2.0/24 ; SBL1\n192.0.2.7\n198.51.100.0/24\n2001:db8::/32\n",
    )?;
    let daemon = lists.daemon();
    for (address, expected) in [
        ("192.0.2.7", &["192.0.2.0/24", "192.0.2.7/32"][..]),
        ("192.0.2.8", &["192.0.2.0/24"]),
        ("192.0.0.0/16", &["192.0.2.0/24", "192.0.2.7/32"]),
        (
            "192.0.2.255-198.51.100.0",
            &["192.0.2.0/24", "198.51.100.0/24"],
        ),
        ("2001:db8::1", &["2001:db8::/32"]),
        ("203.0.113.1", &[]),
    ] {
        let list = daemon.ctl_json(["list", "show", "feed", address])?;
        let entries = list["entries"].as_array().expect("entries");
        let found: Vec<_> = entries.iter().map(|entry| &entry["address"]).collect();
        assert_eq!(found, expected, "{address}");
        assert_eq!(list["total"], 4);
    }
    assert_eq!(daemon.ctl("list show feed nonsense")?.code, 2);
    Ok(())
}

#[test]
fn a_list_is_read_when_an_operator_asks() -> anyhow::Result<()> {
    let lists = Lists::with_feed(require_privileged!(), "192.0.2.1\n192.0.2.2\n")?;
    let daemon = lists.daemon();
    daemon.ctl("list add hand 192.0.2.9 --deploy")?.ok()?;
    let unchanged = daemon.ctl("list reload")?.ok()?;
    assert!(
        unchanged.contains("list feed: 2 entries, unchanged"),
        "{unchanged}"
    );
    lists.replace("192.0.2.1\n192.0.2.2\n192.0.2.3\n")?;
    // Perhaps the daemon was quicker.
    daemon.ctl("list reload feed")?.ok()?;
    assert_eq!(lists.held()?.len(), 3);
    let read = daemon.ctl_json("list list")?;
    assert!(read[0]["last_read"].is_string(), "{read}");
    assert_eq!(read[1]["last_read"], serde_json::Value::Null);
    let revision = status(daemon)?.revision;
    // The guards are the usual ones, and what they say is an error.
    lists.replace("192.0.2.1\n")?;
    let refused = daemon.ctl("list reload feed")?;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stdout.contains("has shrunk from 3 prefixes to 1"),
        "{refused:?}"
    );
    assert_eq!(status(daemon)?.revision, revision);
    for (command, code) in [("list reload hand", 3), ("list reload nothing", 2)] {
        assert_eq!(daemon.ctl(command)?.code, code, "{command}");
    }
    let shown = daemon.ctl("status")?.ok()?;
    assert!(shown.contains("list files in /"), "{shown}");
    Ok(())
}
