//! The options that `ipset list` and `nft list set` print after a member of a set.

use super::entry_end::End;

/// The options of a member.
pub(super) struct MemberOptions<'l> {
    pub(super) comment: &'l str,
    /// When the member expires.
    pub(super) end: End,
    /// ipset: the member is an exception.
    pub(super) is_nomatch: bool,
    /// nft: the set limits the rate or number of packets per member (nft(8), `limit`, `ct count`
    /// and `quota`).
    pub(super) is_limit: bool,
}

impl<'l> MemberOptions<'l> {
    /// Reads options up to the end of the line; `None` if the text is anything else.
    pub(super) fn read(text: &'l str) -> Option<Self> {
        let mut options = Self {
            comment: "",
            end: End::None,
            is_nomatch: false,
            is_limit: false,
        };
        let mut rest = text.trim().trim_end_matches(',').trim_end();
        while !rest.is_empty() {
            let (word, after) = word_of(rest);
            let (value, after_value) = word_of(after);
            match (word, value) {
                ("limit", "rate") | ("ct", "count") => {
                    options.is_limit = true;
                    return Some(options);
                }
                ("quota", _) if value == "over" || value == "until" || is_number(value) => {
                    options.is_limit = true;
                    return Some(options);
                }
                ("nomatch", _) => {
                    options.is_nomatch = true;
                    rest = after;
                    continue;
                }
                ("counter", _) => {
                    rest = after;
                    continue;
                }
                ("comment", _) => {
                    let (comment, after) = after.strip_prefix('"')?.split_once('"')?;
                    options.comment = comment;
                    rest = after.trim_start();
                    continue;
                }
                // nft: the whole time of the member; the rest of it may follow.
                ("timeout", _) if is_duration(value) => options.end = End::under(word, value),
                ("expires", _) if is_duration(value) => options.end = End::remaining(value),
                ("packets" | "bytes" | "skbqueue", _) if is_number(value) => {}
                ("skbmark" | "skbprio", _) if !value.is_empty() => {}
                _ => return None,
            }
            rest = after_value;
        }
        Some(options)
    }
}

/// Returns the first word, and the rest.
fn word_of(text: &str) -> (&str, &str) {
    let (word, after) = text.split_once(' ').unwrap_or((text, ""));
    (word, after.trim_start())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Seconds, or numbers with units: `9m59s996ms`.
fn is_duration(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'd' | b'h' | b'm' | b's');
    text.starts_with(|first: char| first.is_ascii_digit()) && text.bytes().all(is_part)
}
