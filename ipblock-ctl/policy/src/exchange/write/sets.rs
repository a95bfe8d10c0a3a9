//! Sets for the kernel's packet filter: input for `ipset restore` and `nft -f`.
//!
//! There are two sets, `ipblock4` and `ipblock6`, because a set contains one family. After a file
//! is loaded again, the sets contain exactly what the file lists.

use std::fmt::Write as _;

use ipnet::IpNet;
use rustc_hash::FxHashSet;

use super::one_line;
use crate::{address::aggregate, ruleset::ListElement};

/// Maximum length of a comment in bytes: `IPSET_MAX_COMMENT_SIZE` of
/// `include/uapi/linux/netfilter/ipset/ip_set.h`.
const MAX_COMMENT: usize = 255;

/// Capacity of every exported set, whatever its size. `create -exist` rejects an existing set with
/// another capacity; without this constant it would reject the file of a set that has grown. The
/// capacity reserves no memory: it is a limit (`mtype_same_set` and `maxelem` in
/// `net/netfilter/ipset/ip_set_hash_gen.h`).
const CAPACITY: usize = 1 << 24;

/// Writes sets of the type hash:net, with notes as comments.
#[must_use]
pub fn ipset(elements: &[ListElement]) -> String {
    let mut out = String::new();
    for (set, family, is_ipv4) in [("ipblock4", "inet", true), ("ipblock6", "inet6", false)] {
        let mut seen = FxHashSet::default();
        let mut body = String::new();
        let of_family = |element: &&ListElement| element.prefix.addr().is_ipv4() == is_ipv4;
        for element in elements.iter().filter(of_family) {
            for prefix in without_zero(element.prefix) {
                if seen.insert(prefix) {
                    // Writing into a String does not fail, here and below.
                    let _ = write!(body, "add {set} {prefix}");
                    push_comment(&mut body, &element.note);
                    body.push('\n');
                }
            }
        }
        let capacity = CAPACITY.max(seen.len().next_power_of_two());
        let _ = writeln!(
            out,
            "create {set} hash:net family {family} maxelem {capacity} comment -exist"
        );
        let _ = writeln!(out, "flush {set}");
        out.push_str(&body);
    }
    out
}

/// Splits a prefix of length 0 into its halves, because hash:net cannot contain it.
fn without_zero(prefix: IpNet) -> Vec<IpNet> {
    match prefix.prefix_len() {
        0 => prefix.subnets(1).into_iter().flatten().collect(),
        _ => vec![prefix],
    }
}

fn push_comment(out: &mut String, note: &str) {
    if note.is_empty() {
        return;
    }
    // A comment cannot contain a quote.
    let note = one_line(note).replace('"', "'");
    let mut end = note.len().min(MAX_COMMENT);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    let note = note.get(..end).unwrap_or_default();
    if !note.is_empty() {
        let _ = write!(out, " comment \"{note}\"");
    }
}

/// Writes interval sets in the table `inet ipblock`. Their elements must not overlap, so they are
/// minimal prefixes without notes.
#[must_use]
pub fn nft(elements: &[ListElement]) -> String {
    let mut out = "table inet ipblock {\n".to_owned();
    let sets = [
        ("ipblock4", "ipv4_addr", true),
        ("ipblock6", "ipv6_addr", false),
    ];
    for (set, kind, _) in sets {
        let _ = write!(
            out,
            "    set {set} {{\n        type {kind}\n        flags interval\n    }}\n"
        );
    }
    out.push_str("}\n");
    let prefixes = aggregate(elements.iter().map(|element| element.prefix));
    for (set, _, is_ipv4) in sets {
        let _ = writeln!(out, "flush set inet ipblock {set}");
        let mut of_family = prefixes
            .iter()
            .filter(|prefix| prefix.addr().is_ipv4() == is_ipv4)
            .peekable();
        if of_family.peek().is_none() {
            continue;
        }
        let _ = writeln!(out, "add element inet ipblock {set} {{");
        for prefix in of_family {
            let _ = writeln!(out, "    {prefix},");
        }
        out.push_str("}\n");
    }
    out
}
