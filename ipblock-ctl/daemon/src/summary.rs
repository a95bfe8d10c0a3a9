//! A summary of the settings, for `ipblockd --check-config`.

use std::time::Duration;

use ipblock_policy::{Diagnostic, mode::asked};

use super::{
    settings::{Settings, SinkConfig, SinkTarget},
    sinks,
};

impl Settings {
    /// Returns a summary of the settings, one line each, without secrets.
    #[must_use]
    pub fn summary(&self) -> String {
        let interfaces = self.interfaces.iter();
        let interfaces: Vec<_> = interfaces
            .map(|one| format!("{}={}@{}", one.name, asked::word(one.mode), one.zone))
            .collect();
        let ports = self.ssh_ports.as_deref().map(|ports| {
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            ports.join(", ")
        });
        let or = |text: String, empty: &str| match text.as_str() {
            "" => empty.to_owned(),
            _ => text,
        };
        let alerts = &self.alerts;
        let mut lines = vec![
            ("socket", self.socket.display().to_string()),
            ("state_dir", self.state_dir.display().to_string()),
            ("bpffs", self.bpffs.display().to_string()),
            (
                "interfaces",
                or(interfaces.join(", "), "those that `attach` has named"),
            ),
            ("capacity", self.capacity.to_string()),
            ("bpf_log", self.bpf_log.to_string()),
            ("lists_dir", self.lists_dir.display().to_string()),
            ("max_shrink", self.max_shrink.to_string()),
            (
                "ssh_ports",
                ports.map_or_else(|| "as sshd's".to_owned(), |ports| or(ports, "none")),
            ),
            ("alerts.window", duration(alerts.window)),
            ("alerts.rate", alerts.rate.to_string()),
            ("alerts.keep", alerts.keep.to_string()),
            ("alerts.keep_for", duration(alerts.keep_for)),
        ];
        if alerts.sinks.is_empty() {
            lines.push(("alerts.sink", "none".to_owned()));
        }
        lines.extend(alerts.sinks.iter().map(|one| ("alerts.sink", sink(one))));
        lines.extend([
            (
                "metrics.listen",
                self.metrics
                    .map_or_else(|| "the unix socket alone".to_owned(), |it| it.to_string()),
            ),
            ("log.format", self.log_format.to_string()),
        ]);
        let lines: Vec<_> = lines
            .into_iter()
            .map(|(key, value)| format!("{key:<16}{value}\n"))
            .collect();
        lines.concat()
    }

    /// Returns what the settings need and this machine lacks: the problem, and what to do.
    #[must_use]
    pub fn obstacles(&self) -> Vec<Diagnostic> {
        let of_sink = |config: &SinkConfig| {
            let SinkTarget::File { path, .. } = &config.target else {
                return None;
            };
            let (name, shown) = (&config.name, path.display());
            let obstacle = sinks::obstacle(path)?;
            Some(obstacle.at(format_args!("sink `{name}` cannot write {shown}")))
        };
        self.alerts.sinks.iter().filter_map(of_sink).collect()
    }
}

fn sink(config: &SinkConfig) -> String {
    let target = match &config.target {
        SinkTarget::Log => "log".to_owned(),
        SinkTarget::File {
            path,
            max_bytes,
            keep,
        } => format!(
            "file {}, max_size {}, keep {keep}",
            path.display(),
            size(*max_bytes)
        ),
        SinkTarget::Webhook {
            url,
            headers,
            timeout,
            batch,
        } => {
            let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
            let names = match names.as_slice() {
                [] => String::new(),
                names => format!(", headers {}", names.join(" ")),
            };
            format!(
                "webhook {}/...{names}, timeout {}, batch {batch}",
                sinks::origin(url),
                duration(*timeout)
            )
        }
    };
    format!("{}: {target}, queue {}", config.name, config.queue)
}

/// Formats in the largest unit without a remainder.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds > length && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// Formats in the largest unit without a remainder.
fn size(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use crate::{ConfigFile, Flags};

    fn summary(flags: &str, file: &str) -> String {
        let flags = Flags::try_parse_from(flags.split(' ')).unwrap();
        let file = ConfigFile::parse(file, Path::new("d.toml")).unwrap();
        flags.resolve(file).summary()
    }

    #[test]
    fn the_summary_names_every_setting() {
        let text = summary(
            "ipblockd --interface eth0=native@lan",
            "[guard]\nssh_ports = []",
        );
        insta::assert_snapshot!(text, @"
        socket          /run/ipblock/ipblock.sock
        state_dir       /var/lib/ipblock
        bpffs           /sys/fs/bpf
        interfaces      eth0=native@lan
        capacity        4000000
        bpf_log         off
        lists_dir       /etc/ipblock/lists
        max_shrink      0.5
        ssh_ports       none
        alerts.window   60s
        alerts.rate     1000
        alerts.keep     100000
        alerts.keep_for 30d
        alerts.sink     log: log, queue 10000
        metrics.listen  the unix socket alone
        log.format      auto
        ");
    }

    #[test]
    fn the_summary_of_sinks_holds_no_secrets() {
        let text = summary(
            "ipblockd",
            r#"
            [alerts]
            window = "90s"
            keep_for = "48h"
            [[alerts.sink]]
            type = "file"
            path = "/var/log/ipblock/alerts.jsonl"
            max_size = "1024KiB"
            [[alerts.sink]]
            type = "webhook"
            name = "soc"
            url = "https://hooks.example.com:8443/services/SECRET?key=SECRET"
            headers = { Authorization = "Bearer SECRET", X-Key = "SECRET" }
            timeout = "1m"
            [metrics]
            listen = "[::1]:9477"
            [log]
            format = "text"
            "#,
        );
        assert!(!text.contains("SECRET"), "{text}");
        let (_, alerts) = text.split_once("as sshd's\n").unwrap();
        insta::assert_snapshot!(alerts, @"
        alerts.window   90s
        alerts.rate     1000
        alerts.keep     100000
        alerts.keep_for 2d
        alerts.sink     file: file /var/log/ipblock/alerts.jsonl, max_size 1MiB, keep 5, queue 10000
        alerts.sink     soc: webhook https://hooks.example.com:8443/..., headers Authorization X-Key, timeout 60s, batch 100, queue 10000
        metrics.listen  [::1]:9477
        log.format      text
        ");
        let none = summary("ipblockd", "alerts.sink = []");
        assert!(none.contains("alerts.sink     none\n"), "{none}");
    }
}
