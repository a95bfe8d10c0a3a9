//! The alert of a warned source, in every place where people look: how long after the packet.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use ipblock_tests::{
    Daemon, FrameSender, Netns, Size, Terminal, WebhookReceiver,
    packet::{Frame, Ipv4, Payload},
    wait_for,
};

use crate::stop::Stop;

/// In the rule `watch`, and in nothing else that the demo sends.
const SOURCE: &str = "198.51.100.77";
/// Where the metrics page is; the namespace has nothing else.
const METRICS: &str = "127.0.0.1:9477";
/// How long the alert may take to each place. The live view asks once a second, and draws then.
const LONGEST: Duration = Duration::from_secs(1);
const LONGEST_ON_SCREEN: Duration = Duration::from_secs(2);
/// How long to wait, so that a slow alert is reported with its time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often places are looked at that are not read by a process.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// What the daemon's configuration has to say for this.
pub(crate) fn config(webhook: &WebhookReceiver) -> String {
    format!(
        "[alerts]\nwindow = \"60s\"\n\
         [[alerts.sink]]\ntype = \"log\"\n\
         [[alerts.sink]]\ntype = \"webhook\"\nurl = \"{}\"\n\
         [metrics]\nlisten = \"{METRICS}\"\n",
        webhook.url()
    )
}

/// A place where an alert shows.
struct Place {
    name: &'static str,
    after: Duration,
    longest: Duration,
}

/// Where alerts show.
pub(crate) struct Places<'a> {
    pub(crate) daemon: &'a Daemon,
    pub(crate) netns: &'a Netns,
    pub(crate) webhook: &'a WebhookReceiver,
    pub(crate) sender: &'a FrameSender,
}

/// What was seen of the alert.
pub(crate) struct Seen {
    /// Lines to show.
    pub(crate) text: String,
    pub(crate) is_right: bool,
}

impl Places<'_> {
    /// Sends one packet of a warned source, and says where its alert showed, and when.
    pub(crate) fn warn(&self, stop: &Stop) -> Result<Seen> {
        let told = self.webhook.elements().len();
        let reported = self.reported()?;
        let mut watch = self.watch()?;
        watch.wait_for("the live view", |screen| screen.contains("watch"))?;
        stop.check()?;

        let payload = Payload::udp(5000, 53);
        let frame = Frame::carrying(&Ipv4::from(SOURCE).with(payload));
        let sent = Instant::now();
        self.sender.send(&frame)?;
        let place = |name, longest| Place {
            name,
            after: sent.elapsed(),
            longest,
        };
        // In the order of the daemon; each wait includes the previous ones.
        let is_source = |value: &serde_json::Value| value["source"] == SOURCE;
        let arrived = wait_for(PATIENCE, "the webhook", || {
            let elements = self.webhook.elements();
            let mut new = elements.get(told..)?.iter();
            new.find(|(_, value)| is_source(value)).map(|(at, _)| *at)
        })?;
        let webhook = Place {
            name: "webhook",
            after: arrived.saturating_duration_since(sent),
            longest: LONGEST,
        };
        wait_for(PATIENCE, "the log", || {
            self.daemon.log().contains(SOURCE).then_some(())
        })?;
        let log = place("log", LONGEST);
        wait_for(PATIENCE, "the metrics page", || {
            (self.reported().ok()? > reported).then_some(())
        })?;
        let metrics = place("metrics", LONGEST);
        let listed = wait_for(PATIENCE, "the history", || {
            let output = self.daemon.ctl(["alerts", "--source", SOURCE]).ok()?;
            output.ok().ok().filter(|text| text.contains(SOURCE))
        })?;
        let history = place("alerts", LONGEST);
        let screen = watch.wait_for("the alert", |screen| screen.contains(SOURCE))?;
        let on_screen = place("watch", LONGEST_ON_SCREEN);
        stop.check()?;
        watch.press("q")?;
        let ended = watch.end()?;
        ensure!(
            ended.code == Some(0) && ended.is_sane && ended.is_given_back,
            "`watch` ended with {:?} and did not leave the terminal as it was",
            ended.code
        );
        Ok(render(
            &[log, webhook, metrics, history, on_screen],
            &listed,
            &screen,
        ))
    }

    fn watch(&self) -> Result<Terminal> {
        let command = self.daemon.ctl_command(&[], ["watch"]);
        Terminal::start(&command, Size::USUAL)
    }

    /// Returns the packets in alerts, from the metrics page.
    fn reported(&self) -> Result<u64> {
        let name = "ipblock_alert_reported_packets_total";
        let page = self.netns.enter(metrics_page)?;
        let mut lines = page.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find_map(|line| line.strip_prefix(name));
        let value = line.with_context(|| format!("no {name} in {page}"))?.trim();
        // A float, as all numbers of Prometheus.
        let value: f64 = value.parse().with_context(|| format!("{name}: {value}"))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count"
        )]
        Ok(value as u64)
    }
}

fn metrics_page() -> Result<String> {
    let mut stream =
        TcpStream::connect(METRICS).with_context(|| format!("metrics at {METRICS}"))?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: {METRICS}\r\nconnection: close\r\n\r\n"
    )?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

fn render(places: &[Place], listed: &str, screen: &str) -> Seen {
    let mut text =
        format!("alerts   one packet from {SOURCE}, which the rule `watch` warns of; it showed\n");
    let mut is_right = true;
    for place in places {
        let is_soon = place.after <= place.longest;
        is_right &= is_soon;
        let _ = writeln!(
            text,
            "         in {:<8} after {:>4} ms  {}",
            place.name,
            place.after.as_millis(),
            if is_soon { "ok" } else { "TOO LATE" }
        );
    }
    text.push_str("\n$ ipblock-ctl alerts\n");
    text.push_str(listed);
    text.push_str("\n$ ipblock-ctl watch\n");
    for line in screen.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Seen { text, is_right }
}
