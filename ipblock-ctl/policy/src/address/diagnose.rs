//! Explains why a text is rejected, and what to write instead.
//!
//! It runs only after the parser has rejected a text, so it never decides what is accepted.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{AddressError, parse_address, parse_address_set, parse_length};

const FORMS: &str = "write an address (192.0.2.1, 2001:db8::1), a prefix (192.0.2.0/24) \
                     or a range (192.0.2.1-192.0.2.9)";

const ALL: &str = "write 0.0.0.0/0 for all of IPv4, ::/0 for all of IPv6";

const NOT_RESOLVED: &str = "host names are not resolved";

/// A problem and what to write instead.
type Diagnosis = (String, Option<String>);

pub(super) fn list_refused(text: &str) -> AddressError {
    AddressError::new(text, "a list cannot stand here", FORMS.to_owned())
}

pub(super) fn host_bits(text: &str, prefix: IpNet) -> AddressError {
    let (network, address) = (prefix.trunc(), prefix.addr());
    let hint = format!("write {network}, or {address} for the one address");
    AddressError::new(text, "host bits set", hint)
}

pub(super) fn too_long(text: &str, address: IpAddr) -> AddressError {
    let (problem, hint) = length_too_great(address);
    AddressError::new(text, problem, hint)
}

fn length_too_great(address: IpAddr) -> Diagnosis {
    let (family, bits) = match address {
        IpAddr::V4(_) => ("IPv4", 32),
        IpAddr::V6(_) => ("IPv6", 128),
    };
    let problem = format!("the prefix length is too great: an {family} address has {bits} bits");
    let hint = format!("write {address}/{bits}, or {address}, for the one address");
    (problem, Some(hint))
}

/// `::ffff:192.0.2.1/24`: the length may be meant for the IPv4 address.
pub(super) fn mapped_with_length(text: &str, address: Ipv4Addr, length: u8) -> AddressError {
    let problem = "host bits set: the length of an IPv4-mapped prefix counts all 128 bits";
    let network = Ipv4Net::new_assert(address, length.min(32)).trunc();
    let hint = format!("write {network} for the IPv4 network, or {address} for the one address");
    AddressError::new(text, problem, hint)
}

pub(super) fn range_refused(text: &str, first: IpAddr, last: IpAddr) -> AddressError {
    if first.is_ipv4() == last.is_ipv4() {
        let problem = format!("the range is reversed: {first} is greater than {last}");
        return AddressError::new(text, problem, format!("write {last}-{first}"));
    }
    let problem = format!("the range mixes families: {first} and {last}");
    let hint = "write both ends as IPv4 or both as IPv6".to_owned();
    AddressError::new(text, problem, hint)
}

pub(super) fn range_of_mapped(text: &str, first: IpAddr, last: IpAddr) -> AddressError {
    let problem = "an IPv4-mapped address is the end of a range: IPv4 or IPv6 sources may be meant";
    let hint = match (first, last) {
        (IpAddr::V4(low), IpAddr::V4(high)) => {
            let (low, high) = (low.min(high), low.max(high));
            let network = Ipv4Net::new_assert(low, 24).network();
            format!(
                "write {low}-{high} for IPv4, or prefixes such as ::ffff:{network}/120 for IPv6 \
                 sources"
            )
        }
        _ => "write both ends as IPv4 or both as IPv6".to_owned(),
    };
    AddressError::new(text, problem, hint)
}

/// Explains why `text`, which the parser rejected, is not an address, prefix or range.
pub(super) fn explain(text: &str) -> AddressError {
    let (problem, hint) = problem_of(text);
    let hint = hint.unwrap_or_else(|| FORMS.to_owned());
    AddressError::new(text, problem, hint)
}

fn problem_of(text: &str) -> Diagnosis {
    if text.is_empty() {
        return ("no address given".to_owned(), None);
    }
    if text.contains([',', ';']) {
        return several(text);
    }
    if text.contains(char::is_whitespace) {
        return white_space(text);
    }
    if let Some(problem) = url(text).or_else(|| wrapped(text)) {
        return problem;
    }
    if text.contains('%') {
        return zone_id(text);
    }
    if let Some((address, length)) = text.split_once('/')
        && length.starts_with(['-', '+'])
        && let Some(valid) = parse_address(address)
    {
        return not_a_length(valid);
    }
    if let Some((first, last)) = text.split_once('-') {
        return range(first, last);
    }
    match text.split_once('/') {
        Some((address, length)) => prefix(address, length),
        None => address(text),
    }
}

/// Explains commas and semicolons between or after addresses.
fn several(text: &str) -> Diagnosis {
    let pieces = text.split([',', ';']).map(str::trim);
    let pieces: Vec<&str> = pieces.filter(|piece| !piece.is_empty()).collect();
    let all_good = pieces.iter().all(|piece| parse_address_set(piece).is_ok());
    if let [one] = pieces.as_slice() {
        let cured = wrapped(one).and_then(|(_, hint)| hint);
        let hint = all_good.then(|| format!("write {one}")).or(cured);
        return ("a comma or semicolon in an address".to_owned(), hint);
    }
    let hint = all_good.then(|| "give each address as a text of its own".to_owned());
    ("several addresses in one text".to_owned(), hint)
}

/// An address as part of a URL.
fn url(text: &str) -> Option<Diagnosis> {
    let (_, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let hint = match host_of(host) {
        Some(address) => format!("write {address}"),
        None => format!("write the address: {NOT_RESOLVED}"),
    };
    Some(("a URL in the place of an address".to_owned(), Some(hint)))
}

/// Returns the address in `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`.
fn host_of(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port = port
            .strip_prefix(':')
            .or_else(|| port.is_empty().then_some("0"))?;
        return port.parse::<u16>().ok().and(parse_address(address));
    }
    parse_address(text).or_else(|| {
        let (address, port) = text.split_once(':')?;
        port.parse::<u16>().ok().and(parse_address(address))
    })
}

/// Explains decorations of a pasted address: quotes, angle brackets, and `[.]` instead of dots.
fn wrapped(text: &str) -> Option<Diagnosis> {
    let plain = text
        .trim_matches(['"', '\'', '`', '<', '>', '(', ')'])
        .replace("[.]", ".")
        .replace("[:]", ":");
    if plain == text || parse_address_set(&plain).is_err() {
        return None;
    }
    let problem = "more than an address".to_owned();
    Some((problem, Some(format!("write {plain}"))))
}

fn not_a_length(address: IpAddr) -> Diagnosis {
    let hint = format!("write {address} for the one address, or its prefix length in bits");
    ("the prefix length is not a number".to_owned(), Some(hint))
}

fn white_space(text: &str) -> Diagnosis {
    let without: String = text.split_whitespace().collect();
    let hint = match parse_address_set(&without) {
        Ok(_) => Some(format!("write {without}")),
        // Several addresses in one text.
        Err(_) => text
            .split_whitespace()
            .all(|word| parse_address_set(word).is_ok())
            .then(|| "give each address as a text of its own".to_owned()),
    };
    ("white space in an address".to_owned(), hint)
}

fn zone_id(text: &str) -> Diagnosis {
    let (address, zone) = text.split_once('%').unwrap_or((text, ""));
    let length = zone.split_once('/').map(|(_, length)| length);
    let rest = match length {
        Some(length) => format!("{address}/{length}"),
        None => address.to_owned(),
    };
    let hint = parse_address_set(&rest).is_ok().then(|| {
        format!("write {rest}; `zones` says on which interfaces a rule holds, not the address")
    });
    ("an address cannot name an interface (`%`)".to_owned(), hint)
}

fn range(first: &str, last: &str) -> Diagnosis {
    if last.contains('-') {
        return ("more than one `-` in a range".to_owned(), None);
    }
    if first.is_empty() || last.is_empty() {
        let hint = "write both ends of the range: 192.0.2.1-192.0.2.9".to_owned();
        return ("a range with one end".to_owned(), Some(hint));
    }
    if first.contains('/') || last.contains('/') {
        let hint = "write prefixes as elements of their own".to_owned();
        let problem = "the ends of a range are addresses, not prefixes";
        return (problem.to_owned(), Some(hint));
    }
    let (piece, hint) = match (parse_address(first), parse_address(last)) {
        (Some(IpAddr::V4(first)), None) => (last, end_by_last_part(first, last)),
        (Some(_), _) => (last, None),
        (None, _) => (first, None),
    };
    let (problem, piece_hint) = address(piece);
    let problem = format!("`{}` in the range: {problem}", super::excerpt(piece));
    (problem, hint.or(piece_hint))
}

/// Returns the possible meaning of `192.0.2.1-9`.
fn end_by_last_part(first: Ipv4Addr, last: &str) -> Option<String> {
    let part: u8 = last.parse().ok()?;
    let [a, b, c, _] = first.octets();
    Some(format!("write {first}-{}", Ipv4Addr::new(a, b, c, part)))
}

fn prefix(text: &str, length: &str) -> Diagnosis {
    let Some(valid) = parse_address(text) else {
        let (problem, hint) = address(text);
        if (text, length) == ("0", "0") {
            return (problem, Some(ALL.to_owned()));
        }
        let swap = |hint: String| match parse_length(length) {
            // The hint for a plain address may contain another length.
            Some(_) if !hint.contains('/') => format!("{hint}/{length}"),
            _ => hint,
        };
        return (problem, hint.map(swap));
    };
    if length.is_empty() {
        let problem = "the prefix length is missing".to_owned();
        return (problem, Some(format!("write {valid} for the one address")));
    }
    if let (IpAddr::V4(address), Ok(mask)) = (valid, length.parse::<Ipv4Addr>()) {
        let hint = Ipv4Net::with_netmask(address, mask)
            .map(|net| format!("write {}", net.trunc()))
            .ok();
        return ("a netmask instead of a prefix length".to_owned(), hint);
    }
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return not_a_length(valid);
    }
    let significant = match length.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    match parse_length(significant) {
        Some(value) if significant != length => {
            let hint = format!("write {valid}/{value}");
            ("leading zeros in the prefix length".to_owned(), Some(hint))
        }
        _ => length_too_great(valid),
    }
}

fn address(text: &str) -> Diagnosis {
    if text.contains("]:")
        && let Some(address) = host_of(text)
    {
        return with_port(address);
    }
    let bare = text.trim_matches(['[', ']']);
    if bare.len() != text.len() {
        let hint = parse_address(bare).map(|address| format!("write {address}"));
        return ("brackets around an address".to_owned(), hint);
    }
    if text.contains(':') {
        return with_colons(text);
    }
    if text.is_empty() {
        return ("the address is missing".to_owned(), None);
    }
    let dotted = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'*';
    if text.bytes().all(dotted) {
        return dotted_decimal(text);
    }
    (format!("not an IP address ({NOT_RESOLVED})"), None)
}

fn with_port(address: IpAddr) -> Diagnosis {
    let hint = format!("write {address}: every port of it is meant");
    ("an address has no port".to_owned(), Some(hint))
}

fn with_colons(text: &str) -> Diagnosis {
    if let Some((address, port)) = text.split_once(':')
        && let (Ok(address), Ok(_)) = (address.parse::<Ipv4Addr>(), port.parse::<u16>())
    {
        return with_port(address.into());
    }
    let foreign = |c: &char| !c.is_ascii_hexdigit() && *c != ':' && *c != '.';
    let problem = if let Some(character) = text.chars().find(foreign) {
        format!(
            "`{}` cannot stand in an IPv6 address",
            character.escape_debug()
        )
    } else if text
        .split(':')
        .any(|part| part.len() > 4 && !part.contains('.'))
    {
        "a part of an IPv6 address has at most four digits".to_owned()
    } else if text.matches("::").count() > 1 || text.contains(":::") {
        "`::` may stand once in an IPv6 address".to_owned()
    } else {
        "not an IPv6 address: it has eight parts, or fewer and one `::`".to_owned()
    };
    (problem, None)
}

fn dotted_decimal(text: &str) -> Diagnosis {
    let parts: Vec<&str> = text.split('.').collect();
    if text.contains('*') {
        return wildcard(&parts);
    }
    if let Some(part) = parts.iter().find(|part| is_too_great(part)) {
        let hint = text
            .parse::<u32>()
            .ok()
            .map(|number| format!("write {} if that is meant", Ipv4Addr::from(number)));
        let problem = format!("{} is greater than 255", super::excerpt(part));
        return (problem, hint);
    }
    let octets: Vec<u8> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    if octets.len() != parts.len() {
        return ("an empty part between the dots".to_owned(), None);
    }
    if let [a, b, c, d] = *octets.as_slice() {
        let hint = format!("write {}", Ipv4Addr::new(a, b, c, d));
        let problem = "leading zeros, which some programs read as octal";
        return (problem.to_owned(), Some(hint));
    }
    let problem = format!("an IPv4 address has four parts, not {}", octets.len());
    let hint = network_of(&octets)
        .map(|net| format!("write {net} for the whole network, or all four parts"));
    (problem, hint)
}

fn is_too_great(part: &str) -> bool {
    part.parse::<u8>().is_err() && !part.is_empty()
}

fn wildcard(parts: &[&str]) -> Diagnosis {
    if parts == ["*"] {
        return ("`*` is not an address".to_owned(), Some(ALL.to_owned()));
    }
    let known: Vec<u8> = parts.iter().map_while(|part| part.parse().ok()).collect();
    let rest = parts.get(known.len()..).unwrap_or_default();
    let hint = (parts.len() == 4 && rest.iter().all(|part| *part == "*"))
        .then(|| network_of(&known))
        .flatten()
        .map(|net| format!("write {net}"));
    ("`*` cannot stand in an address".to_owned(), hint)
}

/// Returns the network that the first one to three parts of an address denote.
fn network_of(known: &[u8]) -> Option<Ipv4Net> {
    let (octets, length) = match *known {
        [a] => ([a, 0, 0, 0], 8),
        [a, b] => ([a, b, 0, 0], 16),
        [a, b, c] => ([a, b, c, 0], 24),
        _ => return None,
    };
    Ipv4Net::new(octets.into(), length).ok()
}
