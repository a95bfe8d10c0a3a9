//! The JSON documented in docs/api.md, from the real daemon: every field and nothing else.

use ipblock_common::limits::DEFAULT_CAPACITY;
use ipblock_tests::require_privileged;
use serde_json::{Value, json};

use crate::{
    answers::deploy,
    scenario::{Scene, marked},
};

const RULESET: &str = r#"
[allow]
match = ["203.0.113.8"]

[zone.lan]
default = "drop"
malformed = "drop"
allow = [{ at = "2001:db8:a::/48", note = "office" }]

[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/24", "2001:db8:b::/48"]
except = ["203.0.113.9"]
note = "ticket 42"

[[rule]]
name = "watch"
action = "warn"
match = ["203.0.113.0/26"]
expires = "2099-01-01T00:00:00Z"
zones = ["default"]
"#;

/// A scene with the ruleset deployed and one frame of each kind judged.
fn scene(root: ipblock_tests::Privileged) -> anyhow::Result<Scene> {
    let scene = Scene::filtering(root, RULESET)?;
    for (source, marker) in [
        ("203.0.113.7", 1),
        ("203.0.113.8", 2),
        ("203.0.113.9", 3),
        ("203.0.113.200", 4),
        ("198.51.100.7", 5),
    ] {
        scene.send(&[marked(source, marker)], 1)?;
    }
    scene.judged(5)?;
    Ok(scene)
}

/// Bytes of every frame that [`scene`] sends.
const BYTES: u64 = 14 + 20 + 8 + 16;

fn packets(packets: u64) -> Value {
    json!({"packets": packets, "bytes": packets * BYTES})
}

/// Removes what differs between runs; it must exist.
#[track_caller]
fn take(value: &mut Value, path: &str) -> Value {
    let found = value.pointer_mut(path);
    found.unwrap_or_else(|| panic!("no {path}")).take()
}

#[track_caller]
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    assert!(text.ends_with('Z'), "{value}");
    assert!(text.parse::<jiff::Timestamp>().is_ok(), "{value}");
}

#[test]
fn status_has_the_documented_fields() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    // Both packets of the warn rule are on their way to the log.
    let arguments = ["status"];
    let mut status = scene
        .daemon
        .wait_for_json(arguments, "two alerts in the log", |status| {
            let delivered = status.pointer("/alerts/sinks/0/delivered");
            (delivered == Some(&Value::from(2))).then(|| status.clone())
        })?;
    let pid = take(&mut status, "/pid");
    assert_eq!(pid.as_u64(), scene.daemon.pid().map(u64::from));
    assert!(take(&mut status, "/version").is_string());
    for zone in ["/zones/0/generation", "/zones/1/generation"] {
        assert!(take(&mut status, zone).is_u64());
    }
    let sha256 = take(&mut status, "/object_sha256");
    let sha256 = sha256.as_str().unwrap_or_default();
    assert!(sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let bpffs = take(&mut status, "/bpffs");
    assert_eq!(bpffs.as_str(), scene.daemon.bpffs().to_str());
    let none = packets(0);
    let expected = json!({
        "version": null, "pid": null, "bpffs": null, "lists_dir": "/etc/ipblock/lists", "revision": 1, "staged": 0, "confirm_deadline": null,
        "zones": [
            {
                "name": "default", "default": "pass", "generation": null,
                "interfaces": [{"name": "host0", "mode": "native", "state": "attached"}],
                "entries": {"ipv4": 4, "ipv6": 1, "capacity": DEFAULT_CAPACITY},
                "totals": {
                    "passed": packets(1), "dropped": packets(2), "warned": packets(1),
                    "allowed": packets(1), "non_ip": none, "malformed": none,
                },
            },
            {
                "name": "lan", "default": "drop", "generation": null, "interfaces": [],
                "entries": {"ipv4": 3, "ipv6": 2, "capacity": DEFAULT_CAPACITY},
                "totals": {
                    "passed": none, "dropped": none, "warned": none, "allowed": none,
                    "non_ip": none, "malformed": none,
                },
            },
        ],
        "bans": 0,
        "alerts": {
            "seen": 2, "reported": 2, "suppressed": 0, "lost": 0, "window": 60, "rate": 1000,
            "sinks": [{
                "name": "log", "kind": "log", "state": "ok", "delivered": 2, "lost": 0, "queued": 0,
            }],
        },
        "problems": [], "object_sha256": null,
    });
    assert_eq!(status, expected);
    Ok(())
}

#[test]
fn counters_have_the_documented_fields() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let mut counters = scene.daemon.ctl_json("counters")?;
    for rule in ["/rules/0/last_hit", "/rules/1/last_hit"] {
        assert_time(&take(&mut counters, rule));
    }
    let none = packets(0);
    let expected = json!({
        "rules": [
            {
                "name": "abuse", "action": "block", "packets": 2, "bytes": 2 * BYTES,
                "excepted": 1, "last_hit": null,
            },
            {
                "name": "watch", "action": "warn", "packets": 2, "bytes": 2 * BYTES,
                "excepted": 0, "last_hit": null,
            },
        ],
        "bans": none,
        "allow": packets(1),
        "totals": {
            "passed": packets(1), "dropped": packets(2), "warned": packets(1),
            "allowed": packets(1), "non_ip": none, "malformed": none,
        },
    });
    assert_eq!(counters, expected);
    Ok(())
}

#[test]
fn the_rule_list_has_the_documented_fields_and_states() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let daemon = &scene.daemon;
    deploy(daemon, "rule add old --action warn --match 192.0.2.128/25")?;
    for staged in [
        &["rule", "edit", "watch", "--note", "ticket 43"][..],
        &[
            "rule",
            "add",
            "new",
            "--action",
            "block",
            "--match",
            "198.51.100.9",
            "--disabled",
        ],
        &["rule", "remove", "old"],
    ] {
        daemon.ctl(staged)?.ok()?;
    }
    let mut rules = daemon.ctl_json("rule list")?;
    for rule in ["/0/last_hit", "/1/last_hit"] {
        assert_time(&take(&mut rules, rule));
    }
    let rule = |name: &str, action: &str, state: &str, other: Value| {
        let mut rule = json!({
            "name": name, "action": action, "enabled": true, "except": [], "expires": null,
            "note": "", "alert": false, "zones": [], "packets": 0, "bytes": 0, "excepted": 0,
            "last_hit": null, "state": state,
        });
        let (fields, other) = (rule.as_object_mut().unwrap(), other);
        fields.extend(other.as_object().unwrap().clone());
        rule
    };
    let abuse = rule(
        "abuse",
        "block",
        "deployed",
        json!({
            "match": ["203.0.113.0/24", "2001:db8:b::/48"], "except": ["203.0.113.9/32"],
            "note": "ticket 42", "entries": 5, "packets": 2, "bytes": 2 * BYTES, "excepted": 1,
        }),
    );
    let watch = rule(
        "watch",
        "warn",
        "changed",
        json!({
            "match": ["203.0.113.0/26"], "expires": "2099-01-01T00:00:00Z", "note": "ticket 43",
            "zones": ["default"], "entries": 2, "packets": 2, "bytes": 2 * BYTES,
        }),
    );
    let new = rule(
        "new",
        "block",
        "added",
        json!({"match": ["198.51.100.9/32"], "enabled": false, "entries": 0}),
    );
    let old = rule(
        "old",
        "warn",
        "removed",
        json!({"match": ["192.0.2.128/25"], "entries": 2}),
    );
    assert_eq!(rules, json!([abuse, watch, new, old]));
    // One rule alone is the same object.
    let mut shown = daemon.ctl_json("rule show abuse")?;
    take(&mut shown, "/last_hit");
    assert_eq!(shown, abuse);
    Ok(())
}

#[test]
fn check_and_convert_have_the_documented_fields() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let mut answers = Vec::new();
    for address in ["203.0.113.9", "203.0.113.8", "198.51.100.0/24"] {
        answers.push(scene.daemon.ctl_json(["check", address])?[0].take());
    }
    let entry = json!([{"list": null, "note": "", "source": null}]);
    let since = json!({"revision": 1, "time": null, "author": "uid 0 (root)"});
    let abuse = json!({
        "name": "abuse", "action": "block", "matched": "203.0.113.0/24", "excepted_by": null,
        "note": "ticket 42", "since": since, "entries": entry, "packets": 2,
        "last_hit": null,
    });
    let mut spared = abuse.clone();
    spared["excepted_by"] = json!("203.0.113.9/32");
    spared["except_entries"] = entry.clone();
    let watch = json!({
        "name": "watch", "action": "warn", "matched": "203.0.113.0/26", "excepted_by": null,
        "expires": "2099-01-01T00:00:00Z", "since": since, "entries": entry, "packets": 2,
        "last_hit": null,
    });
    let expected = json!([
        {
            "address": "203.0.113.9", "zone": "default", "verdict": "warn", "reason": "rule",
            "rules": [spared, watch], "kernel_agrees": true,
        },
        {
            "address": "203.0.113.8", "zone": "default", "verdict": "pass", "reason": "allow",
            "rules": [abuse, watch], "allowed_by": "203.0.113.8/32", "allow_entries": entry,
            "kernel_agrees": true,
        },
        {
            "address": "198.51.100.0/24", "zone": "default", "verdict": "pass",
            "reason": "default", "rules": [], "kernel_agrees": true,
        },
    ]);
    for answer in &mut answers {
        for rule in answer["rules"].as_array_mut().into_iter().flatten() {
            for time in ["/last_hit", "/since/time"] {
                take(rule, time);
            }
        }
    }
    assert_eq!(Value::from(answers), expected);

    let converted = scene
        .daemon
        .ctl_json("convert 192.0.2.1-192.0.2.10 2001:db8::/32")?;
    let expected = json!([
        {
            "input": "192.0.2.1-192.0.2.10",
            "cidrs": ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/30", "192.0.2.8/31",
                "192.0.2.10/32"],
            "addresses": "10",
        },
        {
            "input": "2001:db8::/32", "cidrs": ["2001:db8::/32"],
            "addresses": "79228162514264337593543950336",
        },
    ]);
    assert_eq!(converted, expected);
    Ok(())
}

#[test]
fn diff_and_the_lists_have_the_documented_fields() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let daemon = &scene.daemon;
    for staged in [
        "rule edit abuse --add-match 198.51.100.0/29",
        "rule remove watch",
        "allow add 192.0.2.128 --note gateway",
        "zone set dmz --default drop",
    ] {
        daemon.ctl(staged)?.ok()?;
    }
    let mut diff = daemon.ctl_json("diff")?;
    for rule in ["/rules/0/detail", "/rules/1/detail"] {
        assert!(take(&mut diff, rule).is_array());
    }
    assert!(take(&mut diff, "/warnings").is_array());
    let edits = take(&mut diff, "/edits");
    for edit in edits.as_array().into_iter().flatten() {
        assert_eq!(edit["author"], "uid 0 (root)", "{edits}");
        assert!(
            edit["time"].is_string() && edit["summary"].is_array(),
            "{edits}"
        );
    }
    for number in ["/entries/before", "/entries/after"] {
        assert!(take(&mut diff, number).is_u64());
    }
    for number in ["/addresses/newly_blocked", "/addresses/newly_passed"] {
        let text = take(&mut diff, number);
        let text = text.as_str().unwrap_or_default();
        assert!(text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty());
    }
    let expected = json!({
        "rules": [
            {"name": "abuse", "change": "changed", "detail": null},
            {"name": "watch", "change": "removed", "detail": null},
        ],
        "other": [
            "allow: +192.0.2.128/32", "zone `dmz`: added", "zone `dmz`: default: pass -> drop",
        ],
        "addresses": {"newly_blocked": null, "newly_passed": null},
        "entries": {"before": null, "after": null},
        "warnings": null,
        "cut_peers": [],
        "edits": null,
    });
    assert_eq!(diff, expected);

    let zones = daemon.ctl_json("zone list")?;
    let expected = json!([
        {"name": "default", "default": "pass", "malformed": "pass", "allow": [],
            "interfaces": ["host0"], "state": "deployed"},
        {"name": "dmz", "default": "drop", "malformed": "pass", "allow": [], "interfaces": [],
            "state": "added"},
        {"name": "lan", "default": "drop", "malformed": "drop", "allow": ["2001:db8:a::/48"],
            "interfaces": [], "state": "deployed"},
    ]);
    assert_eq!(zones, expected);
    let allow = daemon.ctl_json("allow list")?;
    let expected = json!([
        {"address": "203.0.113.8/32", "zone": null, "note": "", "state": "deployed"},
        {"address": "192.0.2.128/32", "zone": null, "note": "gateway", "state": "added"},
        {"address": "2001:db8:a::/48", "zone": "lan", "note": "office", "state": "deployed"},
    ]);
    assert_eq!(allow, expected);
    Ok(())
}
