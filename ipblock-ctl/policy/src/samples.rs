//! Small rulesets of the tests of this layer.

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{Action, At, Element, Rule, RuleId, Shared, ZoneName};

/// The moment at which tests compile.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(crate) fn elements<'a>(nets: impl IntoIterator<Item = &'a str>) -> Shared<Element> {
    let element = |text: &str| Element {
        at: match text.strip_prefix('@') {
            Some(list) => At::List(list.parse().unwrap()),
            None => At::Prefix(net(text)),
        },
        note: "".into(),
    };
    nets.into_iter().map(element).collect()
}

/// A live rule in every zone, without exceptions.
pub(crate) fn rule(id: u64, name: &str, action: Action, matches: &[&str]) -> Rule {
    Rule {
        id: RuleId(id),
        name: name.parse().unwrap(),
        action,
        matches: elements(matches.iter().copied()),
        except: Shared::default(),
        expires: None,
        note: String::new(),
        enabled: true,
        alert: false,
        zones: Vec::new(),
    }
}

pub(crate) fn zone(name: &str) -> ZoneName {
    name.parse().unwrap()
}
