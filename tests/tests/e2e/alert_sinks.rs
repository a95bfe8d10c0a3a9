//! Alerts reach real receivers, whatever one of these does.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use ipblock_api::types::{AlertInfo, SinkKind, SinkState, SinkStatus};
use ipblock_tests::{
    DEADLINE, Daemon, Mood, Privileged, VethOptions, VethPair, WebhookReceiver, require_privileged,
    wait_for,
};
use tempfile::TempDir;

use crate::{
    answers::{apply, status},
    scenario::{Scene, marked},
    told::Asker,
};

const WARN: &str = r#"
[[rule]]
name = "watch"
action = "warn"
match = ["198.51.100.0/24"]
"#;

/// A daemon with a log, a file and two webhooks as sinks. Fields are dropped in this order.
struct Audience {
    scene: Scene,
    asker: Asker,
    good: WebhookReceiver,
    bad: WebhookReceiver,
    directory: TempDir,
}

impl Audience {
    fn new(root: Privileged) -> anyhow::Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let netns = Arc::clone(&pair.host.netns);
        let (good, bad) = (WebhookReceiver::new(&netns)?, WebhookReceiver::new(&netns)?);
        let directory = TempDir::new()?;
        let config = format!(
            "[alerts]\nwindow = \"1h\"\n\
             [[alerts.sink]]\ntype = \"log\"\n\
             [[alerts.sink]]\ntype = \"file\"\npath = {:?}\n\
             [[alerts.sink]]\ntype = \"webhook\"\nname = \"good\"\nurl = {:?}\n\
             headers = {{ Authorization = \"Bearer secret\" }}\n\
             [[alerts.sink]]\ntype = \"webhook\"\nname = \"bad\"\nurl = {:?}\ntimeout = \"1s\"\n",
            directory.path().join("alerts.jsonl").display().to_string(),
            good.url(),
            bad.url(),
        );
        let daemon = Daemon::in_netns(root, &netns)
            .interface(format!("{}=native", pair.host.interface))
            .config(config)
            .start()?;
        let scene = Scene::of(daemon, pair)?;
        apply(&scene.daemon, WARN)?;
        Ok(Self {
            asker: Asker::new(&scene.daemon)?,
            scene,
            good,
            bad,
            directory,
        })
    }

    /// The alerts in the file.
    fn in_file(&self) -> anyhow::Result<Vec<AlertInfo>> {
        let text = fs::read_to_string(self.directory.path().join("alerts.jsonl"))?;
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    }

    fn sink(&self, name: &str) -> anyhow::Result<SinkStatus> {
        let sinks = status(&self.scene.daemon)?.alerts.sinks.into_iter();
        let mut found = sinks.filter(|sink| sink.name == name);
        found.next().with_context(|| format!("no sink {name}"))
    }
}

fn received(receiver: &WebhookReceiver) -> Vec<AlertInfo> {
    let elements = receiver.elements().into_iter();
    elements
        .map(|(_, element)| serde_json::from_value(element).expect("an alert"))
        .collect()
}

/// Waits until a receiver has `count` alerts.
fn wait_for_received(
    receiver: &WebhookReceiver,
    number: usize,
    longest: Duration,
) -> anyhow::Result<Vec<AlertInfo>> {
    wait_for(longest, &format!("{number} alerts at a webhook"), || {
        let alerts = received(receiver);
        (alerts.len() >= number).then_some(alerts)
    })
}

#[test]
fn every_sink_is_told_the_same() -> anyhow::Result<()> {
    let audience = Audience::new(require_privileged!())?;
    let frames = [1, 2, 3].map(|host| marked(&format!("198.51.100.{host}"), host));
    audience.scene.send(&frames, 2)?;
    let alerts = audience.asker.wait_for_alerts(3)?;
    for receiver in [&audience.good, &audience.bad] {
        assert_eq!(wait_for_received(receiver, 3, DEADLINE)?, alerts);
    }
    let in_file = wait_for(DEADLINE, "three lines", || {
        audience.in_file().ok().filter(|lines| lines.len() == 3)
    })?;
    assert_eq!(in_file, alerts);
    let log = wait_for(DEADLINE, "three alerts in the log", || {
        let log = audience.scene.daemon.log();
        let told = log
            .lines()
            .filter(|line| line.contains("source=198.51.100."));
        (told.count() == 3).then_some(log)
    })?;
    assert!(!log.contains("secret"), "{log}");
    let taken = audience.good.taken();
    let header = ("authorization".to_owned(), "Bearer secret".to_owned());
    assert!(taken.iter().all(|taken| taken.headers.contains(&header)));
    for (name, kind) in [
        ("log", SinkKind::Log),
        ("file", SinkKind::File),
        ("good", SinkKind::Webhook),
        ("bad", SinkKind::Webhook),
    ] {
        let sink = wait_for(DEADLINE, "the sink to have delivered", || {
            audience.sink(name).ok().filter(|sink| sink.delivered == 3)
        })?;
        assert_eq!((sink.kind, sink.state), (kind, SinkState::Ok));
        assert_eq!((sink.lost, sink.queued), (0, 0));
    }
    Ok(())
}

#[test]
fn a_webhook_that_hangs_or_fails_holds_nobody_up_and_misses_nothing() -> anyhow::Result<()> {
    let audience = Audience::new(require_privileged!())?;
    audience.bad.set(Mood::Hangs);
    audience.scene.send(&[marked("198.51.100.1", 1)], 1)?;
    wait_for_received(&audience.good, 1, DEADLINE)?;
    let failing = |audience: &Audience| {
        wait_for(DEADLINE, "the sink to be seen failing", || {
            let sink = audience.sink("bad").ok()?;
            (sink.state == SinkState::Failing).then_some(sink)
        })
    };
    let sink = failing(&audience)?;
    assert_eq!((sink.delivered, sink.lost, sink.queued), (0, 0, 1));
    assert!(sink.detail.is_some());
    let problems = status(&audience.scene.daemon)?.problems;
    assert!(
        problems.iter().any(|problem| problem.contains("bad")),
        "{problems:?}"
    );

    audience.bad.set(Mood::Answers(503));
    audience.scene.send(&[marked("198.51.100.2", 2)], 1)?;
    wait_for_received(&audience.good, 2, DEADLINE)?;
    assert_eq!(audience.sink("good")?.state, SinkState::Ok);
    let asked = audience.bad.requests();
    wait_for(Duration::from_mins(2), "another try", || {
        (audience.bad.requests() > asked).then_some(())
    })?;
    failing(&audience)?;

    audience.bad.set(Mood::Takes);
    let back = Instant::now();
    let alerts = wait_for_received(&audience.bad, 2, Duration::from_mins(2))?;
    println!("back after {:?}", back.elapsed());
    assert_eq!(alerts, audience.asker.all_alerts()?);
    let sink = wait_for(DEADLINE, "the sink to be well again", || {
        let sink = audience.sink("bad").ok()?;
        (sink.state == SinkState::Ok).then_some(sink)
    })?;
    assert_eq!((sink.delivered, sink.lost, sink.queued), (2, 0, 0));
    Ok(())
}

#[test]
fn the_daemon_stops_beside_a_webhook_that_hangs() -> anyhow::Result<()> {
    let mut audience = Audience::new(require_privileged!())?;
    audience.bad.set(Mood::Hangs);
    audience.scene.send(&[marked("198.51.100.1", 1)], 1)?;
    wait_for_received(&audience.good, 1, DEADLINE)?;
    let status = audience.scene.daemon.terminate()?;
    assert!(status.success(), "{status}");
    assert_eq!(audience.in_file()?.len(), 1);
    Ok(())
}
