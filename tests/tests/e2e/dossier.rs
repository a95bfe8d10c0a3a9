//! `check` shows all that is known of a verdict, and answers for many addresses in a line each.

use ipblock_tests::require_privileged;

use crate::{
    answers::check,
    bans::{ban, unban},
    scenario::{Scene, marked},
};

const RULESET: &str = r#"
[list.feed]
match = [{ at = "203.0.113.0/24", note = "SBL1" }]

[allow]
match = [{ at = "198.51.100.7", note = "office" }]

[[rule]]
name = "abuse"
action = "block"
match = ["@feed", { at = "203.0.113.0/24", note = "ticket 42" }]
except = [{ at = "203.0.113.9", note = "partner" }]
note = "as reported"
"#;

#[test]
fn check_shows_lists_notes_authors_and_hits() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    scene.send(&[marked("203.0.113.7", 1)], 3)?;
    ban(
        &scene.daemon,
        "203.0.113.8 --for 1h --reason scan --origin sshd",
    )?;
    scene.send(&[marked("203.0.113.8", 2)], 2)?;
    scene.judged(5)?;
    // An edit of the rule is not its beginning.
    let edit = "rule edit abuse --note again --deploy";
    scene.daemon.ctl(edit)?.ok()?;

    let blocked = check(&scene.daemon, &["203.0.113.7"])?.remove(0);
    let rule = &blocked.rules[0];
    assert_eq!(rule.note, "again");
    assert_eq!(rule.packets, Some(3));
    assert!(rule.last_hit.is_some());
    let since = rule.since.as_ref().expect("a revision");
    assert_eq!((since.revision, since.author.as_str()), (1, "uid 0 (root)"));
    let entries = rule.entries.iter();
    let entries: Vec<_> = entries
        .map(|entry| (entry.list.as_deref(), entry.note.as_str()))
        .collect();
    assert_eq!(entries, [(Some("feed"), "SBL1"), (None, "ticket 42")]);
    let spared = check(&scene.daemon, &["203.0.113.9"])?.remove(0);
    assert_eq!(spared.rules[0].except_entries[0].note, "partner");
    let allowed = check(&scene.daemon, &["198.51.100.7"])?.remove(0);
    assert_eq!(allowed.allow_entries[0].note, "office");

    let banned = check(&scene.daemon, &["203.0.113.8"])?.remove(0);
    assert_eq!((banned.bans.len(), banned.bans[0].packets), (1, Some(2)));
    assert!(banned.bans[0].last_hit.is_some());
    let text = scene.daemon.ctl("check 203.0.113.8")?.ok()?;
    for part in [
        "(sshd), until",
        "reason: scan",
        "2 packets, the last",
        "in list feed: SBL1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    unban(&scene.daemon, "203.0.113.8")?;
    let text = scene.daemon.ctl("check 203.0.113.8")?.ok()?;
    assert!(text.contains("unbanned by uid 0 (root)"), "{text}");
    Ok(())
}

#[test]
fn check_staged_judges_by_what_is_staged() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    for edit in [
        "rule add new --action block --match 192.0.2.0/24",
        "rule remove abuse",
        "zone set dmz --default drop",
    ] {
        scene.daemon.ctl(edit)?.ok()?;
    }
    ban(&scene.daemon, "203.0.113.8 --permanent")?;
    let verdicts = |options: &str| -> anyhow::Result<Vec<(String, String)>> {
        let text = scene
            .daemon
            .ctl(format!("check 192.0.2.7 203.0.113.7 203.0.113.8 --json {options}").as_str())?
            .ok()?;
        let checks: Vec<serde_json::Value> = serde_json::from_str(&text)?;
        let told = checks.iter().map(|check| {
            let verdict = check["verdict"].as_str().unwrap_or_default();
            (verdict.to_owned(), check["kernel_agrees"].to_string())
        });
        Ok(told.collect())
    };
    let of = |said: [&str; 3], kernel: &str| said.map(|said| (said.to_owned(), kernel.to_owned()));
    assert_eq!(verdicts("")?, of(["pass", "block", "block"], "true"));
    let staged = verdicts("--staged --zone default")?;
    assert_eq!(staged, of(["block", "pass", "block"], "null"));
    // The zone exists only there.
    let staged = verdicts("--staged --zone dmz")?;
    assert_eq!(staged, of(["block", "block", "block"], "null"));
    let text = scene.daemon.ctl("check 192.0.2.7 --staged")?.ok()?;
    assert!(text.contains("not asked: this is what is staged"), "{text}");
    Ok(())
}

#[test]
fn check_reads_many_addresses_and_prints_a_line_each() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    ban(&scene.daemon, "192.0.2.7 --permanent")?;
    let input = "203.0.113.7, 203.0.113.9\nnonsense\n192.0.2.7\n198.51.100.7\n";
    let output = scene.daemon.ctl_with_input("check - --exit-code", input)?;
    // A line that cannot be read counts more than what is dropped.
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("nonsense"), "{output:?}");
    let lines = |text: &str| -> Vec<String> {
        let words = text.lines().map(|line| line.split_whitespace().take(4));
        words
            .map(|words| words.collect::<Vec<_>>().join(" "))
            .collect()
    };
    let expected = [
        "ADDRESS ZONE VERDICT WHY",
        "203.0.113.7 default block rule",
        "203.0.113.9 default pass default",
        "192.0.2.7 default block ban",
        "198.51.100.7 default pass allow",
    ];
    assert_eq!(lines(&output.stdout), expected, "{output:?}");
    for (address, code) in [("203.0.113.7", 10), ("203.0.113.9", 0), ("192.0.2.7", 10)] {
        let output = scene.daemon.ctl(["check", address, "--exit-code"])?;
        assert_eq!(output.code, code, "{output:?}");
        assert_eq!(scene.daemon.ctl(["check", address])?.code, 0);
    }
    let hosts: Vec<String> = (1..=21).map(|host| format!("203.0.113.{host}")).collect();
    let text = scene
        .daemon
        .ctl(format!("check {}", hosts.join(" ")).as_str())?
        .ok()?;
    assert_eq!(text.lines().count(), 22, "{text}");
    Ok(())
}
