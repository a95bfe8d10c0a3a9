//! Finds addresses in any text: logs, mails, reports with `1[.]2[.]3[.]4`.
//!
//! Text is cut into words at white space, quotes, brackets and the like. A word is taken only as a
//! whole: as an address, a prefix, a range, an address with a port, or the host of a URL. A word that
//! contains an address and more is reported and not taken, and so is an address beside something
//! that could be its mask or the other end of a range.

use std::{borrow::Cow, net::IpAddr};

use super::{
    AddressError, Mask, Written, excerpt, parse_address, parse_written, refuse_length,
    refuse_unnamed,
};

/// Sequences that reports write in place of a dot or a colon.
const DEFANGED: [(&str, &str); 13] = [
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("{dot}", "."),
    ("[DOT]", "."),
    ("(DOT)", "."),
    ("[:]", ":"),
    // As in JSON and in logs.
    ("\\n", " "),
    ("\\r", " "),
    ("\\t", " "),
    ("\\/", "/"),
];

/// Words between the ends of a range.
const BETWEEN: [&str; 8] = ["-", "..", "...", "to", "through", "thru", "until", "till"];

/// Returns the addresses, prefixes and ranges in a text, each as a text for
/// [`parse_elements`](super::parse_elements), and an error for each word that is not taken.
#[must_use]
pub fn addresses_in_text(text: &str) -> Vec<Result<String, AddressError>> {
    let text = plain(text);
    let words = words(&text);
    let mut seen: Vec<Seen<'_>> = words.iter().map(|word| look(word.text)).collect();
    for index in 0..words.len() {
        if let Some((error, reach)) = doubt(&text, &words, &seen, index) {
            for (offset, place) in seen.iter_mut().skip(index).take(reach + 1).enumerate() {
                *place = if offset == 0 {
                    Seen::Doubtful(error.clone())
                } else {
                    Seen::Nothing
                };
            }
        }
    }
    let found = seen.into_iter().filter_map(|seen| match seen {
        Seen::Nothing => None,
        Seen::Address { text, .. } => Some(Ok(text.to_owned())),
        Seen::Doubtful(error) => Some(Err(error)),
    });
    found.collect()
}

/// Returns a text with ordinary dots and colons.
fn plain(text: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(text);
    if !text.contains(['[', '(', '{', '\\']) {
        return out;
    }
    for (from, to) in DEFANGED {
        if out.contains(from) {
            out = out.replace(from, to).into();
        }
    }
    out
}

/// A word and its place in the text.
#[derive(Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    start: usize,
}

impl Word<'_> {
    const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = 0;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        if !separates(character) {
            continue;
        }
        if let Some(word) = text.get(start..at).filter(|word| !word.is_empty()) {
            words.push(Word { text: word, start });
        }
        start = at + character.len_utf8();
    }
    words
}

/// Digits of other scripts belong to a word: without them it would be another number.
fn separates(character: char) -> bool {
    if !character.is_ascii() {
        return !character.is_numeric();
    }
    !(character.is_ascii_alphanumeric() || "._:/%-@+~".contains(character))
}

/// What a word is.
enum Seen<'t> {
    /// No address.
    Nothing,
    Address {
        text: &'t str,
        /// The single address, if the word is nothing else.
        alone: Option<IpAddr>,
    },
    Doubtful(AddressError),
}

fn look(word: &str) -> Seen<'_> {
    // Java writes `/192.0.2.7:443`.
    let word = word.trim_start_matches('/');
    if !word.contains(['.', ':']) {
        return Seen::Nothing;
    }
    let end = |word: &'_ str| word.trim_end_matches(['.', ':', '-', '/']).len();
    let trimmed = word.get(..end(word)).unwrap_or(word);
    for text in [word, trimmed] {
        if let Ok(Written::Prefix(_) | Written::Range(_)) = parse_written(text) {
            return taken(text);
        }
    }
    if let Some(host) = host(trimmed) {
        return match parse_address(host) {
            Some(IpAddr::V4(_)) => Seen::Address {
                text: host,
                alone: None,
            },
            _ => Seen::Nothing,
        };
    }
    if holds_quad(word) || is_like_ipv6(trimmed) {
        let error = parse_written(trimmed).err();
        let is_explained = trimmed.contains(['/', '%']) || trimmed.contains('-');
        return Seen::Doubtful(
            error
                .filter(|_| is_explained)
                .unwrap_or_else(|| longer(word)),
        );
    }
    Seen::Nothing
}

/// Takes a word that is an address, unless it may be something else that looks the same.
fn taken(text: &str) -> Seen<'_> {
    let alone = parse_address(text);
    if text.contains(':') {
        // `50:06:01:60:3b:a0:11:22` is the name of a disk, `12::30` is nothing.
        let is_short = text.split(':').all(|group| group.len() <= 2);
        let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        if is_short || !has_digit {
            let problem = "an IPv6 address, or an identifier, a name or a time";
            let hint = format!("if it is an address, write it alone: {}", excerpt(text));
            return Seen::Doubtful(AddressError::new(text, problem, hint));
        }
    }
    Seen::Address { text, alone }
}

/// Returns the host of `scheme://user@host:port/path`, of `user@host`, of `host:port` and of
/// `host/path`; `None` if the word is none of these.
fn host(word: &str) -> Option<&str> {
    let scheme = word.find("://");
    let rest = scheme.map_or(word, |at| word.get(at + 3..).unwrap_or_default());
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let has_port = is_number(port) && port.len() <= 5;
    // `192.0.2.0/24` is a prefix, right or wrong, and `:53/udp` is a port.
    let is_prefix = !has_port && path.starts_with(|first: char| first.is_ascii_digit());
    let is_plain = port.is_empty() || has_port;
    let is_more = scheme.is_some() || authority.contains('@') || has_port || !path.is_empty();
    (is_plain && is_more && !is_prefix && parse_address(name).is_some()).then_some(name)
}

/// Whether a word contains four numbers with dots between them.
fn holds_quad(word: &str) -> bool {
    let is_part = |c: char| c.is_numeric() || c == '.';
    let mut runs = word.split(|c: char| !is_part(c));
    runs.any(|run| run.split('.').filter(|part| !part.is_empty()).count() >= 4)
}

/// Whether a word may be meant as an IPv6 address. A MAC address or a time is not.
fn is_like_ipv6(word: &str) -> bool {
    let head = word.split(['/', '%', '-']).next().unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let is_long = head.contains("::") || head.matches(':').count() == 7;
    let has_digit = head.bytes().any(|byte| byte.is_ascii_digit());
    is_long && has_digit && head.bytes().all(is_part)
}

fn longer(word: &str) -> AddressError {
    let hint = "if it holds an address, write that alone".to_owned();
    AddressError::new(word, "part of a longer word or number", hint)
}

/// Returns why the address at `index` is not taken because of the words after it, and the number of
/// these.
fn doubt(
    text: &str,
    words: &[Word<'_>],
    seen: &[Seen<'_>],
    index: usize,
) -> Option<(AddressError, usize)> {
    let Some(Seen::Address {
        alone: Some(address),
        ..
    }) = seen.get(index)
    else {
        return None;
    };
    let (word, next) = (words.get(index)?, words.get(index + 1)?);
    let after = |offset: usize| match seen.get(index + offset) {
        Some(Seen::Address {
            alone: Some(other), ..
        }) => Some(*other),
        _ => None,
    };
    let gap = text.get(word.end()..next.start).unwrap_or_default();
    if let Err(error) = refuse_unnamed(*address, next.text) {
        return Some((error, 1));
    }
    let length = next.text.strip_prefix('/');
    if length.is_some_and(is_number) && gap.trim().is_empty() {
        let both = format!("{address}{}", next.text);
        let problem = "an address and its prefix length";
        let hint = format!("write {both} without white space");
        return Some((AddressError::new(&both, problem, hint), 1));
    }
    if is_number(next.text)
        && let Err(error) = refuse_length(*address, next.text)
    {
        return Some((error, 1));
    }
    if Mask::named(next.text).is_some() && words.get(index + 2).is_some() {
        let both = text.get(word.start..words.get(index + 2)?.end())?;
        let hint = "write the network in one text: 192.0.2.0/24".to_owned();
        return Some((AddressError::new(both, "an address and its mask", hint), 2));
    }
    let is_dash = gap.contains(['–', '—']) || word.text.ends_with('-');
    let (other, reach) = if is_dash {
        (after(1)?, 1)
    } else if let Some(last) = next.text.strip_prefix('-').and_then(parse_address) {
        (last, 1)
    } else if BETWEEN.contains(&next.text.to_ascii_lowercase().as_str()) {
        (after(2)?, 2)
    } else {
        return None;
    };
    if other.is_ipv4() != address.is_ipv4() || *address >= other {
        return None;
    }
    let both = text.get(word.start..words.get(index + reach)?.end())?;
    let problem = "a range, or two addresses";
    let hint =
        format!("write {address}-{other} for the range, or each address on a line of its own");
    Some((AddressError::new(both, problem, hint), reach))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
