//! `alerts`: a line per alert, in columns that keep their position while addresses are short.

use std::net::IpAddr;

use ipblock_api::types::AlertInfo;
use jiff::{Timestamp, tz::TimeZone};
use unicode_width::UnicodeWidthStr as _;

use super::{
    number::grouped,
    table::{cut, fit_list},
    view::{Tone, View, visible},
};

/// Spaces between two columns.
const GAP: usize = 2;
/// Width of `block` and its title.
const ACTION_WIDTH: usize = 6;
/// Width of counts below ten million, if they are not known yet; a larger one shifts the rest of
/// its row.
const PACKETS_WIDTH: usize = 9;
/// Width of any IPv4 address. After an IPv6 address the rest is shifted or on the next line.
const SOURCE_WIDTH: usize = 15;
/// Width of an IPv4 address, a port and a protocol, which is the usual case.
const DESTINATION_WIDTH: usize = 21;
/// Minimum width of rules; in a table, at most the longest one's width.
const MIN_RULES_WIDTH: usize = 8;
/// Width of rules if lines have no limit.
const GOOD_RULES_WIDTH: usize = 20;
/// From this width on, the interface and the zone are shown.
const WIDE: usize = 100;

/// The column of packets.
const PACKETS: usize = 3;
/// The column of sources. A second line begins with it if the first has no room for one.
const SOURCE: usize = 4;
/// The column of destinations. Another line begins with it if one is not enough.
const DESTINATION: usize = 5;

/// The layout of alerts; the same for every line.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Maximum width of a line, if there is one.
    width: Option<usize>,
    /// Whether dates are shown with times.
    days: bool,
    rules: usize,
    packets: usize,
    /// Whether the zone and the interface are shown.
    place: bool,
}

impl Columns {
    /// Returns the layout for a table of these alerts.
    #[must_use]
    pub fn fitting(alerts: &[AlertInfo], view: &View) -> Self {
        if view.is_whole() {
            return Self::stream(None);
        }
        let day = |time: Timestamp| time.to_zoned(view.time_zone.clone()).date();
        let days = alerts.iter().any(|alert| day(alert.time) != day(view.now));
        let rules = alerts.iter().map(|alert| alert.rules.join(" ").width());
        let packets = alerts.iter().map(|alert| grouped(alert.packets).width());
        let packets = match packets.max() {
            // There is no room for a single large count.
            Some(longest) if !days || view.width >= WIDE => longest.max("PACKETS".len()),
            _ => "PACKETS".len(),
        };
        let rules = rules.max().unwrap_or_default();
        Self::new(Some(view.width), days, rules, packets)
    }

    /// Returns the layout for alerts that are not known yet. `width` is `None` without a limit: off
    /// a terminal each alert is one whole line.
    #[must_use]
    pub fn stream(width: Option<usize>) -> Self {
        Self::new(width, true, GOOD_RULES_WIDTH, PACKETS_WIDTH)
    }

    fn new(width: Option<usize>, days: bool, longest_rules: usize, packets: usize) -> Self {
        let mut columns = Self {
            width,
            days,
            rules: 0,
            packets,
            place: width.is_none_or(|width| width >= WIDE),
        };
        let room = match width {
            Some(width) if !columns.place => width
                .saturating_sub(columns.width_before_source() + GAP + SOURCE_WIDTH)
                .saturating_sub(GAP + DESTINATION_WIDTH),
            _ => GOOD_RULES_WIDTH,
        };
        columns.rules = longest_rules.clamp("RULES".len(), room.max(MIN_RULES_WIDTH));
        columns
    }

    const fn time_width(&self) -> usize {
        if self.days { 14 } else { 8 }
    }

    const fn width_before_source(&self) -> usize {
        self.time_width() + GAP + self.rules + GAP + ACTION_WIDTH + GAP + self.packets + GAP
    }

    /// Renders the titles.
    #[must_use]
    pub fn titles(&self, view: &View) -> String {
        let place = if self.place { "IN" } else { "" };
        let titles = [
            "TIME",
            "RULES",
            "ACTION",
            "PACKETS",
            "SOURCE",
            "DESTINATION",
            place,
        ];
        self.line(&titles.map(|title| (title.to_owned(), Tone::Strong)), view)
    }

    /// Renders one alert, in one line or, if that is too long, in two or three.
    #[must_use]
    pub fn row(&self, alert: &AlertInfo, view: &View) -> String {
        let rules: Vec<String> = alert.rules.iter().map(|rule| visible(rule)).collect();
        let rules = match self.width {
            Some(_) => fit_list(&rules, self.rules),
            None => rules.join(","),
        };
        let place = format!("{}/{}", visible(&alert.zone), visible(&alert.interface));
        let place = if self.place { place } else { String::new() };
        let plain = |text: String| (text, Tone::Plain);
        let cells = [
            plain(self.time(alert.time, &view.time_zone)),
            plain(rules),
            (alert.action.as_str().to_owned(), alert.action.into()),
            plain(grouped(alert.packets)),
            plain(alert.source.to_string()),
            plain(destination(alert)),
            plain(place),
        ];
        self.line(&cells, view)
    }

    fn time(&self, time: Timestamp, time_zone: &TimeZone) -> String {
        let format = if self.days {
            "%m-%d %H:%M:%S"
        } else {
            "%H:%M:%S"
        };
        let time = time.to_zoned(time_zone.clone());
        time.strftime(format).to_string()
    }

    /// Renders the cells; what does not fit goes into further lines.
    fn line(&self, cells: &[(String, Tone); 7], view: &View) -> String {
        let widths = [
            self.time_width(),
            self.rules,
            ACTION_WIDTH,
            self.packets,
            SOURCE_WIDTH,
            DESTINATION_WIDTH,
            0,
        ];
        let needed = cells
            .iter()
            .zip(widths)
            .filter(|((text, _), _)| !text.is_empty());
        let needed: usize = needed
            .map(|((text, _), width)| text.width().max(width) + GAP)
            .sum();
        // The last column is not padded.
        let unused = match cells {
            [.., (destination, _), (place, _)] if place.is_empty() => {
                DESTINATION_WIDTH.saturating_sub(destination.width())
            }
            _ => 0,
        };
        let is_too_wide = |needed| self.width.is_some_and(|width| needed > width);
        let is_long = is_too_wide(needed - GAP - unused);
        let [.., (source, _), _, _] = cells;
        let is_source_long = is_too_wide(self.width_before_source() + source.width());
        let indent = " ".repeat(self.time_width() + GAP);
        let mut line = String::new();
        for (index, ((text, tone), width)) in cells.iter().zip(widths).enumerate() {
            match index {
                SOURCE if is_source_long => line = format!("{}\n{indent}", line.trim_end()),
                DESTINATION if is_long => line = format!("{}\n{indent}-> ", line.trim_end()),
                _ => {}
            }
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let text = view.paint(*tone, text);
            line += &match index {
                PACKETS => padding + &text,
                _ => text + &padding,
            };
            line += &" ".repeat(GAP);
        }
        line.truncate(line.trim_end().len());
        line + "\n"
    }
}

/// Renders alerts with titles, oldest first.
#[must_use]
pub fn render(alerts: &[AlertInfo], view: &View) -> String {
    let columns = Columns::fitting(alerts, view);
    let mut text = columns.titles(view);
    for alert in alerts {
        text.push_str(&columns.row(alert, view));
    }
    text
}

/// Returns `192.0.2.1:22/tcp`, `[2001:db8::1]:22/tcp`, `192.0.2.1/icmp`.
#[must_use]
pub fn destination(alert: &AlertInfo) -> String {
    let protocol = cut(&visible(&alert.protocol), DESTINATION_WIDTH);
    match (alert.destination, alert.destination_port) {
        (address, None) => format!("{address}/{protocol}"),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}/{protocol}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}/{protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn alerts_are_a_table_of_80_columns() {
        let text = render(&samples::alerts(), &samples::view());
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn alerts_of_another_day_tell_which() {
        let mut view = samples::view();
        view.now += jiff::SignedDuration::from_hours(24);
        let text = render(&samples::alerts(), &view);
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn new_alerts_stay_within_80_columns_however_long_their_addresses_are() {
        let (columns, view) = (Columns::stream(Some(80)), samples::view());
        let mut alert = samples::alerts()[0].clone();
        let long = |last| format!("2001:db8:1111:2222:3333:4444:5555:{last}");
        alert.rules = vec!["customer-4711-suspicious".to_owned()];
        alert.packets = 1_234_567;
        alert.source = long("6666").parse().expect("an address");
        alert.destination = long("7777").parse().expect("an address");
        alert.destination_port = Some(65_535);
        let text = columns.titles(&view) + &columns.row(&alert, &view);
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert!(text.contains(&long("6666")), "{text}");
        assert!(text.contains(&long("7777")), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_wide_terminal_shows_where_packets_came_in() {
        let mut view = samples::view();
        view.width = 140;
        insta::assert_snapshot!(render(&samples::alerts(), &view));
    }

    #[test]
    fn in_a_pipe_each_alert_is_one_whole_line() {
        let (columns, view) = (Columns::stream(None), samples::view());
        let rows = samples::alerts();
        let rows: String = rows.iter().map(|alert| columns.row(alert, &view)).collect();
        assert_eq!(rows.lines().count(), samples::alerts().len());
        insta::assert_snapshot!(columns.titles(&view) + &rows);
    }

    #[test]
    fn colour_does_not_disturb_the_columns() {
        let (columns, mut view) = (Columns::stream(Some(80)), samples::view());
        let alert = &samples::alerts()[0];
        let plain = columns.row(alert, &view);
        view.color = true;
        let painted = columns.row(alert, &view);
        assert_eq!(
            painted.replace("\x1b[33m", "").replace("\x1b[0m", ""),
            plain
        );
        assert!(painted.contains("\x1b[33mwarn\x1b[0m  "), "{painted:?}");
    }

    #[test]
    fn an_alert_as_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::alerts()[0]);
    }
}
