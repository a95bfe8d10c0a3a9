//! `ipblockd(8)`, generated from the flags so that both agree.

use std::io;

use clap::CommandFactory as _;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use ipblock_datapath::DEFAULT_BPFFS;

use super::{
    Flags,
    config::DEFAULT_CONFIG,
    settings::{DEFAULT_SOCKET, DEFAULT_STATE_DIR},
};

const SIGNALS: [(&str, &str); 2] = [
    (
        "SIGTERM, SIGINT",
        "End. The filter stays in force; the next daemon takes it over.",
    ),
    ("SIGHUP", "Read the files of named lists again."),
];

const EXIT_STATUS: [(&str, &str); 3] = [
    ("0", "It was asked to end, or --check-config found nothing."),
    ("1", "It could not start or go on; its log says why."),
    ("2", "The flags or the configuration file are wrong."),
];

/// Returns the manual page.
/// # Errors
/// None but those of writing to memory.
pub fn manual() -> io::Result<Vec<u8>> {
    let files = [
        (DEFAULT_CONFIG, "Settings, each with its default."),
        (
            DEFAULT_STATE_DIR,
            "Revisions, bans, counters, alerts and audit.",
        ),
        (DEFAULT_SOCKET, "Where ipblock-ctl asks."),
        (
            DEFAULT_BPFFS,
            "Holds program, maps and links, below ipblock/: what is there filters, with or without a daemon.",
        ),
    ];
    let man = Man::new(Flags::command()).section("8");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for (title, entries) in [
        ("SIGNALS", &SIGNALS[..]),
        ("EXIT STATUS", &EXIT_STATUS),
        ("FILES", &files),
    ] {
        section(title, entries).to_writer(&mut page)?;
    }
    man.render_version_section(&mut page)?;
    let mut related = Roff::new();
    related.control("SH", ["SEE ALSO"]);
    related.text([bold("ipblock-ctl"), roman("(1)")]);
    related.to_writer(&mut page)?;
    Ok(page)
}

fn section(title: &str, entries: &[(&str, &str)]) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [title]);
    for (what, text) in entries {
        section.control("TP", []);
        section.text([bold(*what)]);
        section.text([roman(*text)]);
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_flag_and_what_flags_do_not_say() {
        let page = String::from_utf8(manual().unwrap()).unwrap();
        assert!(page.contains(".TH ipblockd 8"), "{page}");
        for flag in Flags::command().get_arguments() {
            let long = flag.get_long().unwrap().replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{long}")), "{long}");
        }
        for title in ["SIGNALS", "EXIT STATUS", "FILES", "SEE ALSO"] {
            assert!(
                page.contains(&format!(".SH \"{title}\""))
                    || page.contains(&format!(".SH {title}")),
                "{title}"
            );
        }
    }
}
