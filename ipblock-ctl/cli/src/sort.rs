//! Sort keys of lists.

use ipblock_api::types::EntryState;
use ipnet::IpNet;

/// By address number: IPv4 before IPv6 before `@lists`, a wide prefix before those inside it.
pub(crate) fn by_address(address: &str) -> (bool, Option<IpNet>, String) {
    let prefix: Option<IpNet> = address.parse().ok();
    let name = match prefix {
        Some(_) => String::new(),
        None => address.to_owned(),
    };
    (prefix.is_none(), prefix, name)
}

/// Staged before deployed.
pub(crate) const fn by_state(state: EntryState) -> (bool, EntryState) {
    (matches!(state, EntryState::Deployed), state)
}

/// Texts from A to Z, empty ones last.
pub(crate) fn by_text(text: &str) -> (bool, String) {
    (text.is_empty(), text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_by_number_and_family() {
        let mut addresses = [
            "@b",
            "2001:db8::/32",
            "192.0.2.10/32",
            "@a",
            "192.0.2.9/32",
            "192.0.2.0/24",
            "192.0.2.0/25",
            "2001:db8::/31",
            "9.0.0.0/8",
        ];
        addresses.sort_by_key(|address| by_address(address));
        assert_eq!(
            addresses,
            [
                "9.0.0.0/8",
                "192.0.2.0/24",
                "192.0.2.0/25",
                "192.0.2.9/32",
                "192.0.2.10/32",
                "2001:db8::/31",
                "2001:db8::/32",
                "@a",
                "@b",
            ]
        );
    }

    #[test]
    fn what_is_staged_and_what_says_something_comes_first() {
        assert!(by_state(EntryState::Removed) < by_state(EntryState::Deployed));
        assert!(by_text("zebra") < by_text(""));
    }
}
