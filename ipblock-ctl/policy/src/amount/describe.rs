//! Describes a wide change.

use jiff::Timestamp;

use super::{ALL_IPV4, ALL_IPV6, NewlyBanned, Sum, WIDE_IPV4, WIDE_IPV6, Wide};
use crate::{
    address_set::AddressSet,
    ruleset::{At, Ruleset},
    text::grouped,
};
use ipnet::IpNet;

/// Number of prefixes that are listed, the widest first. The text gives the number of the others.
const NAMED: usize = 5;
/// Number of rules and bans that are listed for one prefix.
const CAUSES: usize = 3;

/// The hint of a refusal.
pub const WIDE_HINT: &str = "pass --wide if that is meant";

impl Sum {
    /// Describes the families of which this is too much: `25 % of IPv4 (1,073,741,824 addresses)`.
    #[must_use]
    pub fn in_words(self) -> String {
        let mut parts = Vec::new();
        if self.ipv4 >= WIDE_IPV4 {
            let share = share(self.ipv4, ALL_IPV4);
            parts.push(format!(
                "{share} of IPv4 ({} addresses)",
                grouped(self.ipv4)
            ));
        }
        if self.ipv6 >= WIDE_IPV6 {
            let share = share(self.ipv6, ALL_IPV6);
            parts.push(format!("{share} of IPv6 (measured by 2000::/3)"));
        }
        parts.join(" and ")
    }
}

impl Wide {
    /// The refusal: the amount, and a line for each of the widest prefixes with its cause. `after`
    /// is the ruleset that drops them, `bans` are the bans at that time.
    #[must_use]
    pub fn refusal(&self, after: &Ruleset, bans: &[IpNet], now: Timestamp) -> String {
        let lines = self.causes(after, bans, now);
        format!("refused: it would newly drop {}", self.under(&lines))
    }

    /// The refusal on one line, for a warning.
    #[must_use]
    pub fn in_one_line(&self, after: &Ruleset, bans: &[IpNet], now: Timestamp) -> String {
        let lines = self.causes(after, bans, now);
        let sum = self.sum.in_words();
        format!("it would newly drop {sum}: {}", lines.join(", "))
    }

    fn under(&self, lines: &[String]) -> String {
        format!("{}\n  {}", self.sum.in_words(), lines.join("\n  "))
    }

    fn causes(&self, after: &Ruleset, bans: &[IpNet], now: Timestamp) -> Vec<String> {
        let (widest, more) = self.all.widest(NAMED);
        let mut lines: Vec<String> = widest
            .into_iter()
            .map(|net| format!("{net} by {}", self.cause(net, after, bans, now)))
            .collect();
        if more > 0 {
            lines.push(format!("and {} more", grouped(more)));
        }
        lines
    }

    /// Names what drops this prefix, or parts of it.
    fn cause(&self, net: IpNet, after: &Ruleset, bans: &[IpNet], now: Timestamp) -> String {
        let zones = self.zones.iter().filter(|(_, newly)| newly.touches(net));
        let zones: Vec<_> = zones.map(|(name, _)| name).collect();
        let touches = |other: &IpNet| other.contains(&net) || net.contains(other);
        let mut causes = Vec::new();
        for rule in &after.rules {
            let holds = zones.iter().any(|zone| rule.holds_in(zone));
            if !rule.action.drops() || !rule.is_live(now) || !holds {
                continue;
            }
            let mut own = false;
            let mut lists = Vec::new();
            for element in &rule.matches {
                match &element.at {
                    At::Prefix(prefix) => own |= !own && touches(prefix),
                    At::List(name) => {
                        let list = after.lists.get(name);
                        let mut elements = list.into_iter().flat_map(|list| &list.elements);
                        if elements.any(|element| touches(&element.prefix)) {
                            lists.push(format!("@{name}"));
                        }
                    }
                }
            }
            if own || !lists.is_empty() {
                let from = match lists.as_slice() {
                    [] => String::new(),
                    lists => format!(" (from list {})", lists.join(", ")),
                };
                causes.push(format!("rule `{}`{from}", rule.name));
            }
        }
        let bans = bans.iter().filter(|ban| touches(ban));
        causes.extend(bans.take(CAUSES).map(|ban| format!("the ban of {ban}")));
        if causes.is_empty() {
            let zones = zones
                .iter()
                .map(|zone| format!("the default of zone `{zone}`"));
            causes.extend(zones);
        }
        let more = causes.len().saturating_sub(CAUSES);
        causes.truncate(CAUSES);
        match more {
            0 => causes.join(" and "),
            more => format!("{} and {more} more", causes.join(", ")),
        }
    }
}

impl NewlyBanned {
    /// The refusal. `earlier` is what was banned shortly before, which is added.
    #[must_use]
    pub fn refusal(&self, earlier: Sum) -> String {
        let widest = widest(&self.all);
        if self.sum.is_wide() {
            return format!(
                "refused: it would newly ban {}: {widest}",
                self.sum.in_words()
            );
        }
        format!(
            "refused: together with other bans of the last hour it would newly ban {}: {widest}",
            self.sum.plus(earlier).in_words()
        )
    }
}

fn widest(set: &AddressSet) -> String {
    let (nets, more) = set.widest(NAMED);
    let nets: Vec<_> = nets.iter().map(ToString::to_string).collect();
    let nets = nets.join(", ");
    match more {
        0 => nets,
        more => format!("{nets} and {} more", grouped(more)),
    }
}

/// Returns `25 %`, with a decimal below ten percent. For IPv6 it may exceed 100 %, because `all` is
/// only a part of it.
fn share(count: u128, all: u128) -> String {
    let tenths = count / (all / 1000);
    match tenths {
        1000.. => "all".to_owned(),
        100.. => format!("{} %", tenths / 10),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}
