//! XDP programs on this host's interfaces: ours, and those that stand in the way.

use std::{collections::BTreeSet, path::Path};

use crate::{
    datapath::{
        DEFAULT_BPFFS as BPFFS, Interface, PinDirectory, PinnedLink, inspect::program_name,
    },
    output::doctor::Finding,
};

const CHECK: &str = "XDP programs";

/// One finding for each interface that runs an XDP program, or one that says that none does.
pub(super) fn programs() -> Vec<Finding> {
    let interfaces = match Interface::list() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            let advice = "interfaces are asked for over rtnetlink (AF_NETLINK)";
            return vec![Finding::warning(CHECK, error.to_string(), advice)];
        }
    };
    let ours = our_programs();
    let mut findings = Vec::new();
    for interface in interfaces {
        let Some(xdp) = interface.xdp else {
            continue;
        };
        let name = program_name(xdp.program).map_or_else(String::new, |name| format!(" `{name}`"));
        let what = format!(
            "{}: program {}{name}, {} mode",
            interface.name, xdp.program, xdp.mode
        );
        findings.push(if ours.contains(&xdp.program) {
            Finding::ok(CHECK, format!("{what}, ipblock's"))
        } else {
            Finding::warning(
                CHECK,
                format!("{what}, not one that is pinned under {BPFFS}/ipblock"),
                format!(
                    "ipblock cannot attach there; `bpftool prog show id {}` tells whose it is",
                    xdp.program
                ),
            )
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "no interface runs one"));
    }
    findings
}

/// Ids of the programs on links that are pinned in the usual place. Unreadable pins are nobody's.
fn our_programs() -> BTreeSet<u32> {
    let Ok(pins) = PinDirectory::at(Path::new(BPFFS)) else {
        return BTreeSet::new();
    };
    let names = pins.linked_interfaces().unwrap_or_default();
    names
        .iter()
        .filter_map(|name| PinnedLink::open(&pins, name).ok().flatten())
        .map(|link| link.program)
        .collect()
}
