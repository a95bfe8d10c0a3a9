//! Renders a [`Snapshot`] as families and their series.

use std::time::Duration;

use ipblock_api::types::{
    AlertStatus, Counters, InterfaceState, InterfaceStatus, SinkState, SinkStatus, Status,
    ZoneStatus,
};
use ipblock_policy::mode::asked;
use prometheus::TextEncoder;

use super::{super::connections::Traffic, Snapshot, family::Family};

/// Returns the page in Prometheus' text format 0.0.4. Omits a family without a series.
pub(super) fn page(snapshot: &Snapshot) -> prometheus::Result<String> {
    let Snapshot {
        status,
        counters,
        interfaces,
        ..
    } = snapshot;
    let families = rules(counters)
        .into_iter()
        .chain(zones(&status.zones))
        .chain(bans(snapshot))
        .chain(interface(interfaces))
        .chain(revision(snapshot))
        .chain(alerts(&status.alerts))
        .chain(sinks(&status.alerts.sinks))
        .chain(connections(&snapshot.connections))
        .chain(daemon(snapshot));
    let families: Vec<_> = families.filter_map(Family::into_proto).collect();
    TextEncoder::new().encode_to_string(&families)
}

fn rules(counters: &Counters) -> [Family; 3] {
    let mut packets = Family::counter(
        "ipblock_rule_packets_total",
        "Packets that a deployed rule matched, also where another rule decided.",
    );
    let mut bytes = Family::counter(
        "ipblock_rule_bytes_total",
        "Bytes of the packets that a deployed rule matched.",
    );
    let mut excepted = Family::counter(
        "ipblock_rule_excepted_packets_total",
        "Packets that an exception of a deployed rule spared.",
    );
    for rule in &counters.rules {
        let labels = [
            ("rule", rule.name.as_str()),
            ("action", rule.action.as_str()),
        ];
        packets.add(&labels, rule.packets);
        bytes.add(&labels, rule.bytes);
        excepted.add(&[("rule", &rule.name)], rule.excepted);
    }
    [packets, bytes, excepted]
}

fn zones(zones: &[ZoneStatus]) -> [Family; 5] {
    let mut packets = Family::counter(
        "ipblock_zone_packets_total",
        "Packets that came in by a zone's interfaces; each is in exactly one verdict.",
    );
    let mut bytes = Family::counter(
        "ipblock_zone_bytes_total",
        "Bytes of the packets that came in by a zone's interfaces.",
    );
    let mut entries = Family::gauge(
        "ipblock_zone_entries",
        "Kernel entries of a zone: prefixes that its compiled rules and allow lists need.",
    );
    let mut capacity = Family::gauge(
        "ipblock_zone_capacity_entries",
        "Kernel entries that a zone may have, both families together.",
    );
    let mut generation = Family::gauge(
        "ipblock_zone_generation",
        "Number of the generation of kernel maps that judges a zone's packets.",
    );
    for zone in zones {
        let name = ("zone", zone.name.as_str());
        for (verdict, count) in zone.totals.each() {
            let labels = [name, ("verdict", verdict)];
            packets.add(&labels, count.packets);
            bytes.add(&labels, count.bytes);
        }
        entries.add(&[name, ("family", "ipv4")], zone.entries.ipv4);
        entries.add(&[name, ("family", "ipv6")], zone.entries.ipv6);
        capacity.add(&[name], zone.entries.capacity);
        generation.add(&[name], zone.generation);
    }
    [packets, bytes, entries, capacity, generation]
}

fn bans(snapshot: &Snapshot) -> [Family; 4] {
    let (status, counters) = (&snapshot.status, &snapshot.counters);
    let mut by_origin = Family::gauge(
        "ipblock_bans_by_origin",
        "Bans that hold, by the origin that made them. 50 origins have a series, `other` is the rest.",
    );
    for (origin, count) in &snapshot.bans {
        by_origin.add(&[("origin", origin)], *count);
    }
    [
        Family::counter(
            "ipblock_ban_packets_total",
            "Packets that a ban dropped; they are in the zones' dropped packets too.",
        )
        .of(counters.bans.packets),
        Family::counter(
            "ipblock_ban_bytes_total",
            "Bytes of the packets that a ban dropped.",
        )
        .of(counters.bans.bytes),
        Family::gauge("ipblock_bans", "Bans that hold.").of(status.bans),
        by_origin,
    ]
}

fn interface(interfaces: &[(String, InterfaceStatus)]) -> [Family; 1] {
    let mut attached = Family::gauge(
        "ipblock_interface_attached",
        "1 when an interface's packets are judged, else 0. The mode is the kernel's where it is \
         attached, else the one asked for.",
    );
    for (zone, interface) in interfaces {
        let labels = [
            ("interface", interface.name.as_str()),
            ("zone", zone),
            ("mode", asked::word(interface.mode)),
        ];
        attached.add_flag(&labels, interface.state == InterfaceState::Attached);
    }
    [attached]
}

fn revision(snapshot: &Snapshot) -> [Family; 4] {
    let last = snapshot.last_deploy;
    let took = last.and_then(|last| last.took);
    [
        Family::gauge("ipblock_revision", "Deployed revision; 0 before the first.")
            .of(snapshot.status.revision),
        Family::gauge(
            "ipblock_staged_edits",
            "Edits that are staged and not deployed.",
        )
        .of(snapshot.status.staged),
        Family::gauge(
            "ipblock_last_deploy_timestamp_seconds",
            "When the deployed revision came into force, in seconds since 1970.",
        )
        .of_time(last.map(|last| last.time)),
        Family::gauge(
            "ipblock_last_deploy_duration_seconds",
            "How long building and switching of the last deploy took; absent until this process \
             has deployed.",
        )
        .of_seconds(took.as_ref().map(Duration::as_secs_f64)),
    ]
}

fn alerts(alerts: &AlertStatus) -> [Family; 4] {
    [
        Family::counter(
            "ipblock_alert_seen_packets_total",
            "Packets that hit a rule that alerts: those reported, suppressed and lost.",
        )
        .of(alerts.seen),
        Family::counter(
            "ipblock_alert_reported_packets_total",
            "Packets that an alert tells of.",
        )
        .of(alerts.reported),
        Family::counter(
            "ipblock_alert_lost_packets_total",
            "Packets that an alert should tell of and none will: there was no room.",
        )
        .of(alerts.lost),
        Family::gauge(
            "ipblock_alert_suppressed_packets",
            "Packets that no alert tells of, on purpose; it goes down when an aggregate does.",
        )
        .of(alerts.suppressed),
    ]
}

fn sinks(sinks: &[SinkStatus]) -> [Family; 4] {
    let mut delivered = Family::counter(
        "ipblock_alert_sink_delivered_total",
        "Alerts that a sink has delivered since the daemon started.",
    );
    let mut lost = Family::counter(
        "ipblock_alert_sink_lost_total",
        "Alerts that a sink has given up since the daemon started.",
    );
    let mut queue = Family::gauge("ipblock_alert_sink_queue", "Alerts that wait for a sink.");
    let mut up = Family::gauge(
        "ipblock_alert_sink_up",
        "1 when a sink works as far as is known, 0 when its last try failed.",
    );
    for sink in sinks {
        let labels = [("sink", sink.name.as_str()), ("kind", sink.kind.as_str())];
        delivered.add(&labels, sink.delivered);
        lost.add(&labels, sink.lost);
        queue.add(&labels, sink.queued);
        up.add_flag(&labels, sink.state == SinkState::Ok);
    }
    [delivered, lost, queue, up]
}

fn connections(traffic: &Traffic) -> [Family; 3] {
    let mut open = Family::gauge(
        "ipblock_api_connections",
        "Connections to the unix socket that are open, or whose work is under way.",
    );
    let mut refused = Family::counter(
        "ipblock_api_connections_refused_total",
        "Connections to the unix socket for which there was no place, since the daemon started.",
    );
    for (who, tally) in &traffic.ranks {
        open.add(&[("who", who)], tally.open as u64);
        refused.add(&[("who", who)], tally.refused);
    }
    let mut cut = Family::counter(
        "ipblock_api_connections_cut_total",
        "Connections to the unix socket that the daemon closed: too slow, or no HTTP.",
    );
    cut.add(&[("reason", "timeout")], traffic.timed_out);
    cut.add(&[("reason", "malformed")], traffic.malformed);
    [open, refused, cut]
}

fn daemon(snapshot: &Snapshot) -> [Family; 4] {
    let Status {
        version,
        object_sha256,
        problems,
        ..
    } = &snapshot.status;
    let mut build = Family::gauge(
        "ipblock_build_info",
        "1, with the daemon's version and the SHA-256 of its BPF object.",
    );
    build.add(&[("version", version), ("object_sha256", object_sha256)], 1);
    let mut repairs = Family::counter(
        "ipblock_drift_repairs_total",
        "Times that the kernel was not as it should be and was put right, since the daemon started.",
    );
    for (part, count) in &snapshot.repairs {
        repairs.add(&[("part", part)], *count);
    }
    [
        repairs,
        Family::gauge(
            "ipblock_problems",
            "Problems that need an operator's eye: `ipblock-ctl status` tells them.",
        )
        .of(problems.len() as u64),
        build,
        // The name in Prometheus' own client libraries.
        Family::gauge(
            "process_start_time_seconds",
            "When the daemon started, in seconds since 1970.",
        )
        .of_time(Some(snapshot.started)),
    ]
}
