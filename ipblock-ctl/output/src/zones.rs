//! `zone list` and `zone show`.

use ipblock_api::types::{EntryState, ZoneInfo};

use super::{
    number::grouped,
    table::{Column, Table},
    view::{Tone, View},
};

/// Renders one line per zone.
#[must_use]
pub fn render_list(zones: &[ZoneInfo], view: &View) -> String {
    let staged = zones.iter().any(|zone| zone.state != EntryState::Deployed);
    let mut table = Table::with_state(
        &[
            Column::left("ZONE"),
            Column::left("DEFAULT"),
            Column::left("MALFORMED"),
            Column::right("ALLOW"),
            Column::left("INTERFACES"),
        ],
        view,
    );
    for zone in zones {
        let allow = u64::try_from(zone.allow.len()).unwrap_or(u64::MAX);
        table.state_row(
            zone.state,
            vec![
                zone.name.as_str().into(),
                zone.default.as_str().into(),
                zone.malformed.as_str().into(),
                grouped(allow).into(),
                interfaces(zone).into(),
            ],
            view,
        );
    }
    if !staged {
        table.drop_columns(&[""], view);
    }
    table.render_with_legend(staged, view)
}

/// Renders everything about one zone.
#[must_use]
pub fn render_zone(zone: &ZoneInfo, view: &View) -> String {
    let state = match zone.state {
        EntryState::Deployed => "",
        EntryState::Added => ": staged, not yet deployed",
        EntryState::Changed => ": staged settings differ from the deployed ones",
        EntryState::Removed => ": staged to be removed",
    };
    let name = view.paint(Tone::Strong, &format!("zone {}", zone.name));
    let mut text = format!("{name}{state}\n");
    let mut table = Table::new(&[Column::left(""), Column::left("")]);
    let mut field = |label: &str, value: &str| table.row(vec![label.into(), value.into()]);
    field("  default", zone.default.as_str());
    field("  malformed", zone.malformed.as_str());
    field("  interfaces", &interfaces(zone));
    let mut label = "  allow";
    for address in &zone.allow {
        field(label, address);
        label = "";
    }
    if zone.allow.is_empty() {
        field(label, "- (the global allow list holds here too)");
    }
    text.push_str(&table.render(view));
    text
}

fn interfaces(zone: &ZoneInfo) -> String {
    if zone.interfaces.is_empty() {
        "-".to_owned()
    } else {
        zone.interfaces.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn zones_are_a_table() {
        insta::assert_snapshot!(render_list(&samples::zones(), &samples::view()));
    }

    #[test]
    fn a_zone_shows_its_allow_list() {
        let all: String = samples::zones()
            .iter()
            .map(|zone| render_zone(zone, &samples::view()) + "\n")
            .collect();
        insta::assert_snapshot!(all);
    }

    #[test]
    fn zone_list_json_has_the_names_of_the_ruleset_file() {
        insta::assert_json_snapshot!(samples::zones()[..1]);
    }
}
