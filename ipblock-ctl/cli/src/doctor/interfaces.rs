//! Interfaces of this host: their XDP programs, ours and foreign ones, and the findings of
//! [`devices`].

use std::{collections::BTreeSet, path::Path};

use ipblock_datapath::{Interface, PinDirectory, PinnedLink, device, inspect::program_name};
use ipblock_output::doctor::Finding;

use super::devices::{self, Device, Header};

const CHECK: &str = "XDP programs";

/// Returns the foreign XDP programs, and all other findings about interfaces.
pub(super) fn interfaces(bpffs: Option<&Path>) -> Vec<Finding> {
    let interfaces = match Interface::list() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            let advice = "interfaces are asked for over rtnetlink (AF_NETLINK)";
            return vec![Finding::warning(CHECK, error.to_string(), advice)];
        }
    };
    let links = bpffs.map(our_links).unwrap_or_default();
    let ours: BTreeSet<u32> = links.iter().map(|link| link.program).collect();
    let mut findings = programs(&interfaces, &ours, bpffs);
    findings.extend(links.iter().filter_map(|link| elsewhere(link, &interfaces)));
    findings.extend(devices::judge(&known(&interfaces, &ours)));
    findings
}

/// Returns a finding for each interface with an XDP program, or one that there are none.
fn programs(interfaces: &[Interface], ours: &BTreeSet<u32>, bpffs: Option<&Path>) -> Vec<Finding> {
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
        let advice = format!(
            "ipblock cannot attach there; `bpftool prog show id {}` tells whose it is",
            xdp.program
        );
        findings.push(match bpffs {
            _ if ours.contains(&xdp.program) => Finding::ok(CHECK, format!("{what}, ipblock's")),
            Some(bpffs) => {
                let pins = bpffs.join("ipblock");
                let what = format!("{what}, not one that is pinned under {}", pins.display());
                Finding::warning(CHECK, what, advice)
            }
            None => Finding::warning(CHECK, format!("{what}, perhaps ipblock's"), advice),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "no interface runs one"));
    }
    findings
}

/// Returns the interfaces with the data of their drivers.
fn known(interfaces: &[Interface], ours: &BTreeSet<u32>) -> Vec<Device> {
    // A kernel that does not report them is not a reason for an error.
    let features = device::xdp_features().ok().flatten();
    interfaces
        .iter()
        .map(|interface| Device {
            name: interface.name.clone(),
            index: interface.index,
            kind: interface.kind.clone(),
            mtu: interface.mtu,
            master: interface.master,
            parent: interface.layer().lower,
            header: match interface.require_ethernet() {
                Ok(()) if interface.is_loopback() => Header::Loopback,
                Ok(()) => Header::Ethernet,
                Err(_) => Header::Other,
            },
            is_up: interface.is_up,
            driver: device::driver(&interface.name).ok(),
            has_lro: device::has_lro(&interface.name).unwrap_or(false),
            features: features
                .as_ref()
                .and_then(|features| features.get(&interface.index).copied()),
            filtered: interface
                .xdp
                .filter(|xdp| ours.contains(&xdp.program))
                .map(|xdp| xdp.mode),
            foreign: interface
                .xdp
                .filter(|xdp| !ours.contains(&xdp.program))
                .map(|xdp| xdp.mode),
            bond_mode: interface.bond_mode.clone(),
        })
        .collect()
}

/// A link whose device no longer has, in this namespace, the name of the attachment.
fn elsewhere(link: &PinnedLink, interfaces: &[Interface]) -> Option<Finding> {
    let name = link.interface();
    let carrier = interfaces.iter().find(|interface| link.is_on(interface));
    match carrier.map(|carrier| carrier.name.as_str()) {
        // Only its pin is left.
        None if link.index.is_none() => None,
        Some(now) if now == name => None,
        Some(now) => Some(Finding::warning(
            CHECK,
            format!("{now}: it was attached as {name} and then renamed"),
            format!(
                "`ipblock-ctl attach {now}` keeps its filter under its name, `ipblock-ctl detach {now}` \
                 takes it off"
            ),
        )),
        None => Some(Finding::warning(
            CHECK,
            format!(
                "the device that was attached as {name} is in another network namespace, and is filtered \
                 there"
            ),
            format!("`ipblock-ctl detach {name} --moved` takes the filter off"),
        )),
    }
}

/// Returns the links that are pinned there. Omits pins that cannot be read.
fn our_links(bpffs: &Path) -> Vec<PinnedLink> {
    let Ok(pins) = PinDirectory::at(bpffs) else {
        return Vec::new();
    };
    let names = pins.linked_interfaces().unwrap_or_default();
    let links = names
        .iter()
        .filter_map(|name| PinnedLink::open(&pins, name).ok().flatten());
    let moved = PinnedLink::open_moved(&pins)
        .unwrap_or_default()
        .into_iter();
    links.chain(moved.map(|moved| moved.link)).collect()
}
