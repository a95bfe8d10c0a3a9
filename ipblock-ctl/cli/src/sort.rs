//! Sort keys of lists.

use clap::{Args, ValueEnum};
use ipblock_api::types::EntryState;
use ipnet::IpNet;

/// The columns that a list can be sorted by.
pub(crate) trait SortKey: ValueEnum + Copy + Send + Sync + 'static {
    /// One row of the list.
    type Row;

    /// The help of `--sort`.
    const HELP: &'static str;

    /// Sorts the rows by this column.
    fn sort(self, rows: &mut [Self::Row]);
}

/// The order of a list.
#[derive(Debug, Args)]
pub(crate) struct SortArgs<K: SortKey> {
    #[arg(long, value_name = "COLUMN", value_enum, help = K::HELP)]
    pub(crate) sort: Option<K>,
    /// Reverse the order
    #[arg(long)]
    reverse: bool,
}

impl<K: SortKey> SortArgs<K> {
    /// Sorts the rows as the arguments ask for.
    pub(crate) fn apply(&self, rows: &mut [K::Row]) {
        if let Some(key) = self.sort {
            key.sort(rows);
        }
        if self.reverse {
            rows.reverse();
        }
    }
}

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
