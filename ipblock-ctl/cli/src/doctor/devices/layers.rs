//! Stacked devices: packets that the filter does not see, and the order of attachment.

use ipblock_datapath::stack::above;
use ipblock_output::doctor::Finding;
use ipblock_policy::Mode;

use super::{CHECK, Device};

/// Modes of a bond that take a program in native mode (drivers/net/bonding, `bond_xdp_check`).
const NATIVE_BOND_MODES: [&str; 4] = ["active-backup", "balance-rr", "802.3ad", "balance-xor"];

/// The traffic between the ports of a bridge.
pub(super) fn bridge(bridge: &Device, devices: &[Device]) -> Option<Finding> {
    let name = &bridge.name;
    let ports = below(bridge, devices, |port| port.filtered.is_none());
    let attach = attach_each(&ports)?;
    Some(Finding::warning(
        CHECK,
        format!("{name} is a bridge: what goes from port to port is not judged"),
        format!(
            "if that is to be filtered too, attach its ports: {attach}. The kernel takes programs from \
             below to above, so ipblockd takes {name} off and puts it on again above them, and what \
             comes in by {name} is dropped for that moment"
        ),
    ))
}

/// A foreign program that prevents programs on all devices below it.
pub(super) fn foreign_above(upper: &Device, devices: &[Device]) -> Option<Finding> {
    upper.foreign?;
    let name = &upper.name;
    let free = below(upper, devices, |lower| {
        lower.filtered.is_none() && lower.foreign.is_none()
    });
    let attach = attach_each(&free)?;
    Some(Finding::warning(
        CHECK,
        format!(
            "{name} runs an XDP program that is not ipblock's: the kernel takes none below it, on {}",
            free.join(", ")
        ),
        format!(
            "to filter below it, from below to above: take that program off {name}, then {attach}, then \
             put it on {name} again"
        ),
    ))
}

/// The traffic between devices above this one, which bypasses its program.
pub(super) fn siblings(parent: &Device, devices: &[Device]) -> Vec<Finding> {
    let Some(mode) = parent.filtered else {
        return Vec::new();
    };
    let name = &parent.name;
    let on_it = |kinds: &[&str]| -> Vec<String> {
        let others = devices.iter().filter(|other| {
            other.parent == Some(parent.index) && kinds.iter().any(|kind| other.is(kind))
        });
        others.map(|other| other.name.clone()).collect()
    };
    let mut findings = Vec::new();
    let macvlans = on_it(&["macvlan", "macvtap"]);
    if mode == Mode::Native && !macvlans.is_empty() {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "{name} is in native mode: what macvlans on it send each other is not judged: {}",
                macvlans.join(", ")
            ),
            format!(
                "if that is to be filtered too: `ipblock-ctl detach {name}`, then `ipblock-ctl attach \
                 {name} --mode generic`, which sees it"
            ),
        ));
    }
    let ipvlans = on_it(&["ipvlan", "ipvtap"]);
    if let Some(attach) = attach_each(&ipvlans) {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "what ipvlans on {name} send each other is not judged in either mode: {}",
                ipvlans.join(", ")
            ),
            format!("if that is to be filtered too, attach them, {name} being attached already: {attach}"),
        ));
    }
    findings
}

/// A bond in a mode without native XDP.
pub(super) fn bond_mode(bond: &Device) -> Option<Finding> {
    let mode = bond.bond_mode.as_deref()?;
    if NATIVE_BOND_MODES.contains(&mode) || bond.filtered == Some(Mode::Native) {
        return None;
    }
    let (name, modes) = (&bond.name, NATIVE_BOND_MODES.join(", "));
    Some(Finding::warning(
        CHECK,
        format!("{name} is a bond in mode {mode}, which takes generic mode only"),
        format!("native mode wants one of the bond modes {modes}; nothing is lost but speed"),
    ))
}

/// A bond with filtered and unfiltered members: packets to the latter are not filtered.
pub(super) fn half_filtered(bond: &Device, devices: &[Device]) -> Option<Finding> {
    let free = below(bond, devices, |member| member.filtered.is_none());
    let filtered = below(bond, devices, |member| member.filtered.is_some());
    if bond.filtered.is_some() || free.is_empty() || filtered.is_empty() {
        return None;
    }
    let name = &bond.name;
    let detach: Vec<String> = filtered
        .iter()
        .map(|member| format!("`ipblock-ctl detach {member}`"))
        .collect();
    Some(Finding::warning(
        CHECK,
        format!(
            "of bond {name} {} filtered, and not {}",
            match filtered.as_slice() {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(", ")),
            },
            free.join(", ")
        ),
        format!(
            "{}, then `ipblock-ctl attach {name}`: in native mode a bond takes no member that has a \
             program of its own",
            detach.join(", ")
        ),
    ))
}

/// Returns the names of the devices directly below one, sorted.
fn below(upper: &Device, devices: &[Device], wanted: impl Fn(&Device) -> bool) -> Vec<String> {
    let layers: Vec<_> = devices.iter().map(Device::layer).collect();
    let lower = devices
        .iter()
        .filter(|device| wanted(device) && above(device.index, &layers).contains(&upper.index));
    let mut names: Vec<String> = lower.map(|device| device.name.clone()).collect();
    names.sort_unstable();
    names
}

/// Returns the commands that attach these, in order; `None` if there are none.
fn attach_each(names: &[String]) -> Option<String> {
    let commands: Vec<String> = names
        .iter()
        .map(|name| format!("`ipblock-ctl attach {name}`"))
        .collect();
    (!commands.is_empty()).then(|| commands.join(", "))
}
