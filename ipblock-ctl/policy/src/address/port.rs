//! Words next to an address that limit an entry to a protocol, a port or a mark.

use super::{AddressError, excerpt};

const PROTOCOLS: [&str; 12] = [
    "tcp",
    "udp",
    "sctp",
    "dccp",
    "udplite",
    "icmp",
    "icmp6",
    "icmpv6",
    "ipv6-icmp",
    "esp",
    "ah",
    "gre",
];

/// Whether a word is a protocol with a port or a type, or a mark, as in members of sets: `tcp:80`,
/// `udp/53`, `443/tcp`, `icmp:8/0`, `0x63`.
pub(crate) fn names_port(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let is_mark = word.strip_prefix("0x").is_some_and(|digits| {
        !digits.is_empty()
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'/' || byte == b'x')
    });
    let parts = word.split_once([':', '/']);
    let is_port = parts.is_some_and(|(first, last)| {
        let is_number = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        PROTOCOLS.contains(&first) && !last.is_empty()
            || is_number(first) && PROTOCOLS.contains(&last)
    });
    is_mark || is_port
}

/// Whether two words denote a port: `port 80`, `dport 22`, `tcp 80`, `: 80`.
pub(super) fn name_port(word: &str, next: &str) -> bool {
    let is_colon = word == ":";
    let word = word
        .trim_start_matches('-')
        .trim_end_matches([':', '='])
        .to_ascii_lowercase();
    let is_name = is_colon
        || is_protocol(&word)
        || matches!(
            word.as_str(),
            "port" | "ports" | "dport" | "dports" | "sport" | "sports" | "dpt" | "spt"
        );
    let is_port = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b',' | b';');
    is_name && next.starts_with(|first: char| first.is_ascii_digit()) && next.bytes().all(is_port)
}

/// Whether a cell is only a protocol.
pub(crate) fn is_protocol(cell: &str) -> bool {
    PROTOCOLS
        .iter()
        .any(|protocol| cell.eq_ignore_ascii_case(protocol))
}

/// Rejects an entry with such a limit.
pub(crate) fn limited_to_port(text: &str, limit: &str) -> AddressError {
    let hint = format!(
        "every port would be blocked: if that is meant, write {} alone, or `{}` after `#` as its note",
        excerpt(text),
        excerpt(limit)
    );
    AddressError::new(
        &format!("{text} {limit}"),
        "more than an address: a port, a protocol or a mark",
        hint,
    )
}
