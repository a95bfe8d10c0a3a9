//! The figures per packet as an SVG: bars on a logarithmic scale, IPv4 left and IPv6 right.

use std::fmt::Write as _;

use crate::{
    judging::{Family, statistics::Quartiles},
    report::{Judged, Report},
};

const LABELS: f64 = 150.0;
const BARS: f64 = 380.0;
const PANEL: f64 = LABELS + BARS + 40.0;
const BAR: f64 = 9.0;
const GROUP: f64 = 3.0 * BAR + 12.0;
const TOP: f64 = 56.0;
/// Nanoseconds at the ends of the scale.
const SCALE: (f64, f64) = (5.0, 5000.0);
const TICKS: [u32; 10] = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

/// Program and colour, in the order of the bars of a group.
const PROGRAMS: [(&str, &str); 3] = [
    ("LPM trie alone", "#b0b7c3"),
    ("plain BPF hash (hosts)", "#e0a33e"),
    ("ipblock", "#1f6feb"),
];

pub(crate) fn svg(report: &Report) -> String {
    let of = |family| {
        report
            .cases
            .iter()
            .filter(move |case| case.family == family)
    };
    let rows = Family::BOTH.map(|family| of(family).count()).into_iter();
    let rows = u32::try_from(rows.max().unwrap_or(0)).unwrap_or(0);
    let (width, height) = (2.0 * PANEL, TOP + f64::from(rows) * GROUP + 36.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#24292f\">\n\
         <title>Nanoseconds a packet</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (index, (name, colour)) in (0_u32..).zip(PROGRAMS) {
        let x = LABELS + f64::from(index) * 170.0;
        line(
            &mut text,
            format_args!(
                "<rect x=\"{x}\" y=\"10\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"19\">{name}</text>",
                x + 15.0
            ),
        );
    }
    for (left, family) in [0.0, PANEL].into_iter().zip(Family::BOTH) {
        axis(&mut text, left, height - 30.0, family);
        for (row, case) in (0_u32..).zip(of(family)) {
            group(&mut text, left, TOP + f64::from(row) * GROUP, case);
        }
    }
    text.push_str("</svg>\n");
    text
}

fn axis(text: &mut String, left: f64, bottom: f64, family: Family) {
    let title = left + LABELS;
    line(
        text,
        format_args!(
            "<text x=\"{title}\" y=\"{}\" font-weight=\"bold\">IPv{}, ns a packet (logarithmic)</text>",
            TOP - 16.0,
            family.number()
        ),
    );
    for tick in TICKS {
        let x = left + LABELS + length(f64::from(tick));
        line(
            text,
            format_args!(
                "<path d=\"M{x:.1} {} V{bottom}\" stroke=\"#d8dee4\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                TOP - 6.0,
                bottom + 14.0
            ),
        );
    }
}

fn group(text: &mut String, left: f64, top: f64, case: &Judged) {
    let name = format!("{} {}", case.workload.name(), case.traffic.name());
    line(
        text,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
            left + LABELS - 8.0,
            top + 2.0 * BAR
        ),
    );
    let times = &case.times;
    let values = [
        Some(times.lpm.as_slice()),
        times.hash.as_deref(),
        Some(times.ipblock.as_slice()),
    ];
    let bars = PROGRAMS.into_iter().zip(values);
    let bars = bars.filter_map(|((_, colour), values)| Some((colour, values?)));
    // Without a hash they are in the middle.
    let first = if times.hash.is_some() { 0.0 } else { BAR / 2.0 };
    for (index, (colour, values)) in (0_u32..).zip(bars) {
        let median = Quartiles::of(values).median;
        let (x, y, width) = (
            left + LABELS,
            top + first + f64::from(index) * BAR,
            length(median),
        );
        line(
            text,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"9\">{median:.0}</text>",
                BAR - 1.0,
                x + width + 3.0,
                y + BAR - 2.0
            ),
        );
    }
}

/// Of a bar, within the scale.
fn length(ns: f64) -> f64 {
    let (first, last) = SCALE;
    BARS * ((ns.clamp(first, last) / first).ln() / (last / first).ln())
}

/// Writing to a string cannot fail, so nothing is lost.
fn line(text: &mut String, parts: std::fmt::Arguments<'_>) {
    writeln!(text, "{parts}").ok();
}
