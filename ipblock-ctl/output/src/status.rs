//! `status`: one block per zone.

use std::fmt::Write as _;

use ipblock_api::types::{
    Attached, Count, DefaultVerdict, InterfaceState, InterfaceStatus, Status, Totals, ZoneStatus,
    mode,
};

use super::{
    alert_status::render_alerts,
    number::{bytes, counted, grouped, short},
    table::{Cell, Column, Table},
    time::{clock, relative},
    view::{Tone, View, labelled},
};

/// Renders the daemon, the staged edits, and every zone.
#[must_use]
pub fn render(status: &Status, view: &View) -> String {
    let mut text = headline(status, view);
    for problem in &status.problems {
        let label = view.paint(Tone::Caution, "problem:");
        text.push_str(&labelled(&label, "problem: ".len(), problem));
    }
    for zone in &status.zones {
        text.push('\n');
        text.push_str(&render_zone(zone, view));
    }
    text.push('\n');
    text.push_str(&render_alerts(&status.alerts, view));
    text
}

fn headline(status: &Status, view: &View) -> String {
    let revision = match status.revision {
        0 => "nothing deployed yet".to_owned(),
        revision => format!("revision {revision}"),
    };
    let staged = match status.staged {
        0 => "nothing staged".to_owned(),
        edits => {
            let edits = counted(edits, "edit", "edits");
            view.paint(
                Tone::Caution,
                &format!("{edits} staged (ipblock-ctl diff shows them)"),
            )
        }
    };
    let bans = match status.bans {
        0 => "no bans".to_owned(),
        bans => counted(bans, "ban", "bans"),
    };
    let revision = view.paint(Tone::Strong, &revision);
    let mut text = format!("{revision}, {staged}, {bans}\n");
    if let Some(deadline) = status.confirm_deadline {
        let (until, at) = (
            relative(view.now, deadline),
            clock(deadline, &view.time_zone),
        );
        let line = if deadline > view.now {
            format!("goes back {until} ({at}) unless `ipblock-ctl confirm` follows")
        } else {
            format!("its time to be confirmed ended {until} ({at}): it is being rolled back")
        };
        let _ = writeln!(text, "{}", view.paint(Tone::Bad, &line));
    }
    for line in [
        format!("ipblockd {}, pid {}", status.version, status.pid),
        format!("object sha256 {}", status.object_sha256),
        format!("list files in {}", status.lists_dir),
    ] {
        let _ = writeln!(text, "{}", view.paint(Tone::Faint, &line));
    }
    text
}

fn render_zone(zone: &ZoneStatus, view: &View) -> String {
    let title = view.paint(Tone::Strong, &format!("zone {}", zone.name));
    let mut text = format!("{title}: what nothing matches {}\n", passes(zone.default));
    let mut table = Table::new(&[Column::left(""); 4]);
    for (index, interface) in zone.interfaces.iter().enumerate() {
        let label = if index == 0 { "  interfaces" } else { "" };
        let mut cells = vec![label.into(), interface.name.as_str().into()];
        cells.extend(mode_and_state(interface));
        table.row(cells);
    }
    if zone.interfaces.is_empty() {
        text.push_str("  interfaces  none (ipblock-ctl attach IF)\n");
    }
    text.push_str(&table.render(view));
    let entries = &zone.entries;
    let _ = writeln!(
        text,
        "  entries     {} of {} ({} IPv4, {} IPv6), generation {}",
        grouped(entries.ipv4 + entries.ipv6),
        grouped(entries.capacity),
        grouped(entries.ipv4),
        grouped(entries.ipv6),
        zone.generation,
    );
    text.push_str(&totals_in_columns(&zone.totals, view));
    text
}

fn mode_and_state(interface: &InterfaceStatus) -> [Cell; 2] {
    let (state, tone) = match interface.state {
        InterfaceState::Attached => ("attached", Tone::Good),
        InterfaceState::Absent => ("absent, attached when it appears", Tone::Caution),
        InterfaceState::Failed => ("FAILED, not attached", Tone::Bad),
    };
    let state = match &interface.detail {
        Some(detail) => format!("{state}: {detail}"),
        None => state.to_owned(),
    };
    [
        mode::asked::word(interface.mode).into(),
        Cell::toned(&state, tone),
    ]
}

/// Renders one line about an interface after an attach.
#[must_use]
pub fn render_attached(attached: &Attached, view: &View) -> String {
    let interface = &attached.interface;
    let mut table = Table::new(&[Column::left(""); 4]);
    let zone = format!("zone {}", attached.zone);
    let mut cells = vec![interface.name.as_str().into()];
    cells.extend(mode_and_state(interface));
    cells.push(zone.into());
    table.row(cells);
    table.render(view)
}

/// Renders totals in columns, with shortened counts.
fn totals_in_columns(totals: &Totals, view: &View) -> String {
    let named = named_totals(totals);
    let mut columns = vec![Column::left("")];
    columns.extend(named.map(|(name, _)| Column::right(name)));
    let mut table = Table::new(&columns);
    let mut packets: Vec<Cell> = vec!["  packets   ".into()];
    packets.extend(named.map(|(_, count)| Cell::from(short(count.packets))));
    let mut octets: Vec<Cell> = vec!["  bytes".into()];
    octets.extend(named.map(|(_, count)| Cell::from(bytes(count.bytes))));
    table.row(packets);
    table.row(octets);
    table.render(view)
}

/// Returns the totals in the order of the output.
#[must_use]
pub fn named_totals(totals: &Totals) -> [(&'static str, Count); 6] {
    totals.each().map(|(name, count)| match name {
        "non_ip" => ("non-IP", count),
        name => (name, count),
    })
}

/// Returns the effect of a default as a verb.
#[must_use]
pub const fn passes(default: DefaultVerdict) -> &'static str {
    match default {
        DefaultVerdict::Pass => "passes",
        DefaultVerdict::Drop => "is dropped",
    }
}

#[cfg(test)]
mod tests {
    use crate::samples;

    #[test]
    fn a_status_reads_at_a_glance() {
        insta::assert_snapshot!(super::render(&samples::status(), &samples::view()));
    }

    #[test]
    fn why_a_sink_fails_is_said_once() {
        let text = super::render(&samples::status(), &samples::view());
        assert_eq!(text.matches("connection refused").count(), 1, "{text}");
    }

    #[test]
    fn a_fresh_daemon_says_what_to_do() {
        insta::assert_snapshot!(super::render(&samples::fresh_status(), &samples::view()));
    }

    #[test]
    fn status_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::status());
    }

    #[test]
    fn an_attached_interface_is_one_line() {
        let status = samples::status();
        let interface = &status.zones[0].interfaces[0];
        let attached = ipblock_api::types::Attached {
            interface: interface.clone(),
            zone: "dmz".to_owned(),
            warnings: Vec::new(),
        };
        let text = super::render_attached(&attached, &samples::view());
        assert_eq!(text, "eth0  native  attached  zone dmz\n");
    }
}
