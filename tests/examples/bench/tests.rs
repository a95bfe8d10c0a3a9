//! What a report looks like, with figures that are made up.

use serde_json::json;

use crate::{
    judging::{Family, case::Times, statistics::Quartiles, traffic::Traffic, workload::Workload},
    load,
    page::with_figures,
    plot,
    report::{Ban, Judged, Load, Memory, Passage, Report},
    table,
};

/// Every section, with figures as wide as they become: hosts and others, met and missed targets, a
/// filter without clean traffic.
fn made_up() -> Report {
    let around = |median: f64| Quartiles {
        low: median * 0.9,
        median,
        high: median * 1.1,
    };
    let rounds = |median: f64| vec![median * 0.9, median, median * 1.1];
    let judged = |family, workload: Workload, traffic, lpm, ipblock| Judged {
        family,
        workload,
        traffic,
        times: Times {
            empty: rounds(6.04),
            hash: workload.is_hosts().then(|| rounds(112.0)),
            lpm: rounds(lpm),
            ipblock: rounds(ipblock),
        },
    };
    let passage = |filter, traffic, ns| Passage {
        filter,
        traffic,
        ns: around(ns),
    };
    let load = |workload, entries, seconds| Load {
        workload,
        entries,
        seconds: around(seconds),
    };
    let ban = |entries, us, api_us| Ban {
        entries,
        us: around(us),
        api_us: around(api_us),
    };
    let (clean, attack) = (Traffic::Clean, Traffic::Attack);
    Report {
        cases: vec![
            judged(Family::Ipv4, Workload::Hosts100k, clean, 447.0, 9.96),
            judged(Family::Ipv4, Workload::Countries11, attack, 1447.0, 1200.0),
            judged(Family::Ipv6, Workload::Hosts1m, attack, 12_345.6, 123.4),
        ],
        path: vec![
            passage("xdp-drop", attack, 100.0),
            passage("xdp-pass", clean, 1000.0),
            passage("xdp-pass", attack, 1100.0),
            passage("ipblock", clean, 1200.0),
            passage("ipblock", attack, 260.0),
            passage("nft-interval", clean, 12_345.6),
            passage("nft-interval", attack, 1336.0),
        ],
        load: vec![
            load("hosts-1m", 999_884, 1.2),
            load(load::ONE_MORE, 999_885, 0.1234),
            Load {
                workload: load::WORLD,
                entries: 1_156_452,
                seconds: Quartiles::of(&[12.0]),
            },
        ],
        ban_us: vec![ban(1000, 2.5, 350.0), ban(1_000_000, 1234.5, 12_345.6)],
        memory: vec![Memory {
            workload: "hosts-1m",
            kernel_mib: 60.04,
            rss_mib: 1200.0,
        }],
    }
}

#[test]
fn json_has_the_shape_that_scripts_rely_on() {
    let expected = json!({
        "cases": [
            {"family": 4, "workload": "hosts-100k", "traffic": "clean",
             "empty_ns": 6.0, "hash_ns": 112.0, "lpm_ns": 447.0, "ipblock_ns": 10.0},
            {"family": 4, "workload": "countries-11", "traffic": "attack",
             "empty_ns": 6.0, "hash_ns": null, "lpm_ns": 1447.0, "ipblock_ns": 1200.0},
            {"family": 6, "workload": "hosts-1m", "traffic": "attack",
             "empty_ns": 6.0, "hash_ns": 112.0, "lpm_ns": 12_345.6, "ipblock_ns": 123.4},
        ],
        "path": [
            {"filter": "xdp-drop", "traffic": "attack", "ns": 100.0},
            {"filter": "xdp-pass", "traffic": "clean", "ns": 1000.0},
            {"filter": "xdp-pass", "traffic": "attack", "ns": 1100.0},
            {"filter": "ipblock", "traffic": "clean", "ns": 1200.0},
            {"filter": "ipblock", "traffic": "attack", "ns": 260.0},
            {"filter": "nft-interval", "traffic": "clean", "ns": 12_345.6},
            {"filter": "nft-interval", "traffic": "attack", "ns": 1336.0},
        ],
        "load": [
            {"workload": "hosts-1m", "seconds": 1.2},
            {"workload": "hosts-1m, one more", "seconds": 0.123},
            {"workload": "world", "seconds": 12.0},
        ],
        "ban_us": [
            {"entries": 1000, "median": 2.5, "api_median": 350.0},
            {"entries": 1_000_000, "median": 1234.5, "api_median": 12_345.6},
        ],
        "memory": [{"workload": "hosts-1m", "kernel_mib": 60.0, "rss_mib": 1200.0}],
    });
    assert_eq!(made_up().json(), expected);
}

#[test]
fn json_of_a_part_has_every_list() {
    let expected = json!({"cases": [], "path": [], "load": [], "ban_us": [], "memory": []});
    assert_eq!(Report::default().json(), expected);
    assert_eq!(table::of(&Report::default()), "");
}

#[test]
fn the_table_fits_a_terminal_of_80_columns() {
    let table = table::of(&made_up());
    let widths = table.lines().map(|line| line.chars().count());
    assert!(widths.max() <= Some(80), "{table}");
    insta::assert_snapshot!(table);
}

#[test]
fn sections_of_the_table_are_one_empty_line_apart() {
    let whole = made_up();
    let part = Report {
        path: made_up().path,
        ..Report::default()
    };
    for report in [whole, part] {
        let table = table::of(&report);
        assert!(!table.contains("\n\n\n"), "{table}");
    }
}

#[test]
fn the_page_gets_the_table_between_its_marks_and_keeps_the_rest() {
    let page = "before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n";
    let expected = "before\n<!-- figures -->\n```text\nnew\n```\n<!-- end of figures -->\nafter\n";
    assert_eq!(with_figures(page, "new\n").as_deref(), Some(expected));
    assert_eq!(with_figures("a page without marks", "new\n"), None);
}

#[test]
fn the_plot_is_well_formed_and_all_of_it_is_in_view() {
    let svg = plot::svg(&made_up());
    let mut open = Vec::new();
    let mut view = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("an end of the tag");
        assert!(!text.contains('&'), "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{svg}");
            continue;
        }
        let name = tag.split_whitespace().next().expect("a name");
        if !tag.ends_with('/') {
            open.push(name);
        }
        // Every other piece between quotation marks is a value, and the part before it is its name.
        let pieces: Vec<_> = tag.split('"').collect();
        assert!(pieces.len() % 2 == 1, "{tag}");
        let attributes = pieces.chunks_exact(2);
        let attributes = attributes.map(|pair| (pair[0].split_whitespace().next_back(), pair[1]));
        let value = |name: &str| {
            let mut found = attributes.clone().filter(|(key, _)| *key == Some(name));
            found
                .next()
                .map(|(_, value)| value.parse::<f64>().expect(tag))
        };
        if name == "svg" {
            let (_, size) = attributes
                .clone()
                .find(|(key, _)| *key == Some("viewBox="))
                .unwrap();
            view = size
                .split(' ')
                .map(|number| number.parse().unwrap())
                .collect();
        }
        for (start, length, limit) in [("x=", "width=", view[2]), ("y=", "height=", view[3])] {
            let (start, length) = (value(start).unwrap_or(0.0), value(length).unwrap_or(0.0));
            assert!(
                start >= 0.0 && length >= 0.0 && start + length <= limit,
                "{tag}"
            );
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "{svg}");
    let bars = svg.matches("<rect").count();
    // The background, a legend of three, and three for hosts, two for the others.
    assert_eq!(bars, 1 + 3 + 3 + 2 + 3, "{svg}");
}
