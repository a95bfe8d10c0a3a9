//! `convert`: one prefix per line.

use std::fmt::Write as _;

use ipblock_api::types::Conversion;

use super::{
    number::counted,
    view::{Tone, View},
};

/// Renders one prefix per line. If there are several conversions, each has a heading.
#[must_use]
pub fn render(conversions: &[Conversion], view: &View) -> String {
    let mut text = String::new();
    for conversion in conversions {
        if conversions.len() > 1 {
            let title = format!(
                "# {} ({})",
                conversion.input,
                counted(&conversion.addresses, "address", "addresses")
            );
            let _ = writeln!(text, "{}", view.paint(Tone::Faint, &title));
        }
        for prefix in &conversion.cidrs {
            let _ = writeln!(text, "{prefix}");
        }
    }
    text
}

/// Returns the number of addresses and prefixes of a conversion.
#[must_use]
pub fn summary(conversion: &Conversion) -> String {
    let addresses = counted(&conversion.addresses, "address", "addresses");
    let prefixes = u64::try_from(conversion.cidrs.len()).unwrap_or(u64::MAX);
    format!("{addresses} in {}", counted(prefixes, "prefix", "prefixes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn one_conversion_is_its_prefixes() {
        let conversions = samples::conversions();
        assert_eq!(
            render(&conversions[..1], &samples::view()),
            "192.0.2.1/32\n192.0.2.2/31\n192.0.2.4/30\n192.0.2.8/31\n192.0.2.10/32\n"
        );
    }

    #[test]
    fn a_summary_counts_addresses_and_prefixes() {
        let conversions = samples::conversions();
        let summaries: Vec<String> = conversions.iter().map(summary).collect();
        assert_eq!(
            summaries,
            [
                "10 addresses in 5 prefixes",
                "79,228,162,514,264,337,593,543,950,336 addresses in 1 prefix"
            ]
        );
    }

    #[test]
    fn several_conversions_are_named() {
        insta::assert_snapshot!(render(&samples::conversions(), &samples::view()));
    }

    #[test]
    fn convert_json_has_the_documented_fields() {
        insta::assert_json_snapshot!(samples::conversions());
    }
}
