//! One line of plain text: its addresses and its note.
//!
//! A comma, a semicolon or white space separates addresses. The text after the last address is a
//! note, unless it could belong to an address: then the whole line is rejected.

use std::{borrow::Cow, net::IpAddr};

use super::{
    AddressError, Written,
    entry_end::End,
    mask::{self, Mask},
    member::MemberOptions,
    parse_address, parse_written, port,
};

/// One address, prefix, range or `@list`, with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item<'l> {
    /// The text as written in the line.
    pub(crate) text: &'l str,
    /// The meaning, including a mask after the address.
    pub(crate) written: Written,
    is_masked: bool,
}

impl<'l> Item<'l> {
    /// Returns a text with the same meaning that needs no mask after it.
    fn alone(&self) -> Cow<'l, str> {
        match &self.written {
            Written::Prefix(prefix) if self.is_masked => prefix.to_string().into(),
            _ => self.text.into(),
        }
    }
}

/// The content of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    pub(crate) first: Item<'l>,
    /// The other addresses of the line. Most lines have none.
    pub(crate) more: Vec<Item<'l>>,
    /// The text after the addresses; may be empty.
    pub(crate) note: &'l str,
    /// When the entry expires, as members of an ipset can.
    pub(crate) end: End,
    /// The options that a set lists for its member; may be empty.
    options: &'l str,
}

impl<'l> Line<'l> {
    /// Returns every address of the line.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item<'l>> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

/// Returns the addresses, prefixes, ranges and `@list`s of one line, each as a text for
/// [`parse_elements`](super::parse_elements). Blank lines and comments have none. A rejected line
/// gives one error and no address.
#[must_use]
pub fn addresses_of_line(line: &str) -> Vec<Result<Cow<'_, str>, AddressError>> {
    match read_line(line) {
        Ok(Some(line)) => line.items().map(|item| Ok(item.alone())).collect(),
        Ok(None) => Vec::new(),
        Err(error) => vec![Err(error)],
    }
}

/// Returns the text after the addresses of a line if no mark (`#`, `;`, `//`) makes it a comment.
#[must_use]
pub fn unmarked_note(line: &str) -> Option<&str> {
    let Line {
        note, end, options, ..
    } = read_line(line).ok()??;
    if end.is_end() && !options.is_empty() {
        return Some(options);
    }
    let before = line.trim().strip_suffix(note)?.trim_end();
    (!note.is_empty() && !before.ends_with(['#', ';', '/'])).then_some(note)
}

/// Whether a line has no content: it is empty, or a comment that starts with `#`, `;` or `//`.
pub(crate) fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//")
}

/// Reads one line; `None` if it has no content.
pub(crate) fn read_line(line: &str) -> Result<Option<Line<'_>>, AddressError> {
    let line = line.trim();
    if is_blank(line) {
        return Ok(None);
    }
    let (word, rest) = cut_word(line);
    let written = parse_written(word).map_err(|error| first_refused(line, word, rest, error))?;
    let mut read = Line {
        first: Item {
            text: word,
            written,
            is_masked: false,
        },
        more: Vec::new(),
        note: "",
        end: End::None,
        options: "",
    };
    read_rest(line, rest, &mut read)?;
    Ok(Some(read))
}

/// The separator between two words of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    Space,
    Comma,
    Semicolon,
}

/// Reads the rest after the first address.
fn read_rest<'l>(
    line: &'l str,
    mut rest: &'l str,
    read: &mut Line<'l>,
) -> Result<(), AddressError> {
    let mut last = read.first.text;
    let mut after_semicolon = false;
    loop {
        let (gap, at) = cut_gap(rest);
        if at.is_empty() {
            return Ok(());
        }
        if at.starts_with('#') || at.starts_with("//") {
            read.note = note_of(at);
            return Ok(());
        }
        let (word, next) = cut_word(at);
        match item(word, gap) {
            Some(Ok(written)) => {
                if let Some(address) = parse_address(last) {
                    mask::refuse_unnamed(address, word)?;
                }
                after_semicolon |= gap == Gap::Semicolon;
                last = word;
                read.more.push(Item {
                    text: word,
                    written,
                    is_masked: false,
                });
                rest = next;
            }
            Some(Err(error)) => return Err(error),
            None if gap == Gap::Comma => return Err(after_comma(line, word)),
            None if gap == Gap::Semicolon && !after_semicolon && Mask::named(word).is_none() => {
                if let Some(address) = parse_address(last) {
                    mask::refuse_length(address, word)?;
                }
                if port::names_port(word) {
                    return Err(port::limited_to_port(last, word));
                }
                read.note = note_of(at);
                return Ok(());
            }
            None if after_semicolon => return Err(several_or_note(line)),
            None => {
                let Some((written, after)) = named_mask(last, word, next)? else {
                    return read_note(line, at, last, read);
                };
                let item = read.more.last_mut().unwrap_or(&mut read.first);
                (item.written, item.is_masked) = (written, true);
                rest = after;
            }
        }
    }
}

/// Reads a word as an item; `None` if it is clearly not an address.
fn item(word: &str, gap: Gap) -> Option<Result<Written, AddressError>> {
    if word.starts_with('@') {
        // After white space it may be the start of a note.
        let written = parse_written(word);
        return match gap {
            Gap::Space => None,
            Gap::Comma | Gap::Semicolon => written.ok().map(Ok),
        };
    }
    if !may_be_address(word) {
        return None;
    }
    match parse_written(word) {
        Ok(written) => Some(Ok(written)),
        Err(error) => looks_like_address(word).then_some(Err(error)),
    }
}

/// Applies `netmask 255.255.255.0` to the address before it, and returns the rest.
fn named_mask<'l>(
    last: &str,
    word: &str,
    next: &'l str,
) -> Result<Option<(Written, &'l str)>, AddressError> {
    // `mask=24` in one word, or `mask 24`.
    let one_word = word.split_once(['=', ':']);
    let (name, joined) = one_word.map_or((word, ""), |(name, value)| (name, value));
    let Some(kind) = Mask::named(name) else {
        return Ok(None);
    };
    let (mask_text, after) = if joined.is_empty() {
        let (_, at) = cut_gap(next);
        cut_word(at)
    } else {
        (joined, next)
    };
    if !mask::may_be_mask(mask_text) {
        return Ok(None);
    }
    let written = mask::with_mask(last, mask_text, kind)?;
    Ok(Some((written, after)))
}

/// Uses the text from `at` on as the note, or rejects it if it may belong to the address.
fn read_note<'l>(
    line: &'l str,
    at: &'l str,
    last: &str,
    read: &mut Line<'l>,
) -> Result<(), AddressError> {
    if let Some(options) = MemberOptions::read(at) {
        if options.is_nomatch {
            let hint = "it is an exception: ipblock-ctl exception add RULE ADDRESS".to_owned();
            return Err(AddressError::new(last, "`nomatch` entry", hint));
        }
        if options.is_limit {
            let problem = "more than an address: a limit";
            let hint = "the set limits its members and does not block them; \
                        if that is meant, write the addresses alone";
            return Err(AddressError::new(last, problem, hint.to_owned()));
        }
        (read.note, read.end, read.options) = (options.comment, options.end, at);
        return Ok(());
    }
    let (word, next) = cut_word(at);
    let second = cut_word(cut_gap(next).1).0;
    if is_opposite(word) {
        return Err(let_through(line, last, word));
    }
    if port::names_port(word) {
        return Err(port::limited_to_port(last, word));
    }
    if port::name_port(word, second) {
        return Err(port::limited_to_port(last, &format!("{word} {second}")));
    }
    // The text stays in the note.
    read.end = End::of_note(at);
    if let Some(error) = joined(line, last, word, next) {
        return Err(error);
    }
    if let Some(address) = parse_address(last) {
        mask::refuse_length(address, word)?;
        refuse_hosts(line, address, word)?;
    }
    let free = at.split_once(" #").map_or(at, |(free, _)| free);
    let mut words = free
        .split_whitespace()
        .map(|word| word.trim_matches(AROUND));
    if words.any(|word| may_be_address(word) && looks_like_address(word)) {
        return Err(text_between(line));
    }
    read.note = note_of(at);
    Ok(())
}

/// Whether the word after an address may mean that the address, or a part of it, is allowed.
fn is_opposite(word: &str) -> bool {
    const WORDS: [&str; 11] = [
        "!",
        "accept",
        "allow",
        "but",
        "except",
        "excluding",
        "ignore",
        "minus",
        "pass",
        "permit",
        "without",
    ];
    WORDS.contains(&word.to_ascii_lowercase().as_str())
}

fn let_through(line: &str, first: &str, word: &str) -> AddressError {
    let problem = format!(
        "an exception, or a note that begins with `{}`",
        super::excerpt(word)
    );
    let hint = format!(
        "an exception is added with ipblock-ctl exception add RULE ADDRESS; for a note write \
         {first} # {}",
        super::excerpt(word)
    );
    AddressError::new(line, problem, hint)
}

/// Characters around an address in prose.
const AROUND: [char; 16] = [
    ',', ';', '(', ')', '[', ']', '"', '\'', '<', '>', '.', '=', '!', '-', '~', '^',
];

/// Returns a note without the mark at its start.
fn note_of(at: &str) -> &str {
    let note = at.trim_start_matches(|c: char| c.is_whitespace() || c == '#' || c == ';');
    note.strip_prefix("//").unwrap_or(note).trim_start()
}

/// Returns the first word of a text, and the rest.
fn cut_word(text: &str) -> (&str, &str) {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '#');
    let end = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Returns the separator before the next word, and the text from that word or comment on.
fn cut_gap(text: &str) -> (Gap, &str) {
    let at = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let end = text.len() - at.len();
    let between = text.get(..end).unwrap_or_default();
    let gap = if between.contains(';') {
        Gap::Semicolon
    } else if between.contains(',') {
        Gap::Comma
    } else {
        Gap::Space
    };
    (gap, at)
}

/// A fast check whether a word has only characters of addresses.
fn may_be_address(word: &str) -> bool {
    let first = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '[');
    word.starts_with(first) && word.contains(['.', ':'])
}

/// Whether a word is an address, a prefix or a range.
pub(crate) fn is_address(word: &str) -> bool {
    may_be_address(word) && parse_written(word).is_ok()
}

/// Whether the author of this word probably meant an address, a prefix or a range.
pub(crate) fn looks_like_address(word: &str) -> bool {
    let head = word.split(['/', '-']).next().unwrap_or_default();
    let head = head.trim_matches(['[', ']']);
    let host = match head.split_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => head,
    };
    let is_quad = |text: &str| {
        let mut parts = text.split('.');
        let is_part = |part: &str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        parts.clone().count() == 4 && parts.all(is_part)
    };
    head.parse::<IpAddr>().is_ok() || is_quad(host) || is_quad(head)
}

/// Rejects a range or a prefix that contains white space or words.
fn joined(line: &str, first: &str, word: &str, next: &str) -> Option<AddressError> {
    const BETWEEN: [&str; 14] = [
        "to", "until", "till", "through", "thru", "..", "...", "->", "=>", ">", "–", "—", "~", "-",
    ];
    /// Words that may join an address and a number.
    const OTHERS: [&str; 7] = ["|", "+", "&", "\\", "and", "or", "x"];
    let (_, at) = cut_gap(next);
    let (second, _) = cut_word(at);
    let refuse = |problem: &str, joined: String| {
        let hint = match parse_written(&joined) {
            Ok(_) => format!("write {joined}"),
            Err(error) => error.hint.unwrap_or_else(|| format!("write {joined}")),
        };
        Some(AddressError::new(line, problem.to_owned(), hint))
    };
    let is_address = |text: &str| may_be_address(text) && looks_like_address(text);
    if BETWEEN.contains(&word.to_ascii_lowercase().as_str()) && is_address(second) {
        return refuse("a range is written FROM-TO", format!("{first}-{second}"));
    }
    if let Some(last) = word.strip_prefix(['-', '–', '—'])
        && is_address(last)
    {
        return refuse("white space in a range", format!("{first}-{last}"));
    }
    if parse_address(first).is_some() {
        let joins = |word: &str| BETWEEN.contains(&word) || OTHERS.contains(&word);
        if joins(&word.to_ascii_lowercase()) && is_part(second) {
            let note = format!("{word} {second}");
            return Some(range_or_note(line, first, second, &note));
        }
        let last = word.trim_start_matches(['-', '–', '—', '~', '.', '>', '=']);
        if last != word && is_part(last) {
            return Some(range_or_note(line, first, last, word));
        }
    }
    if let Some(length) = word.strip_prefix('/') {
        let length = if length.is_empty() { second } else { length };
        return refuse("white space in a prefix", format!("{first}/{length}"));
    }
    None
}

/// Whether a word could be the last parts of an address, or a prefix length.
fn is_part(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/'))
}

/// Rejects `192.0.2.1 - 9`: a range with a shortened end, or an address with a note.
fn range_or_note(line: &str, first: &str, last: &str, note: &str) -> AddressError {
    let range = parse_written(&format!("{first}-{last}")).err();
    let range = range.and_then(|error| error.hint);
    let range = range
        .filter(|hint| hint.starts_with("write ") && hint.contains('-') && !hint.contains('('))
        .unwrap_or_else(|| "write FROM-TO with both addresses".to_owned());
    let problem = "a range or a prefix, or an address with a note";
    let hint = format!("{range} for the range; for the one address write {first} # {note}");
    AddressError::new(line, problem, hint)
}

/// Rejects a line of a hosts file, which means the name and not the address: `0.0.0.0 ads.example`.
fn refuse_hosts(line: &str, address: IpAddr, word: &str) -> Result<(), AddressError> {
    let is_sink = address.is_loopback() || address.is_unspecified();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = word.contains("localhost")
        || word.trim_matches('.').contains('.') && word.contains(|c: char| c.is_ascii_alphabetic());
    if !is_sink || !is_name || !word.chars().all(is_part) {
        return Ok(());
    }
    let problem = "a line of a hosts file, or an address with a note";
    let hint = format!(
        "names are not blocked: import addresses; if {address} itself is meant, write the note \
         after `#`"
    );
    Err(AddressError::new(line, problem, hint))
}

/// Rejects a line whose first word is not an address.
fn first_refused(line: &str, word: &str, rest: &str, error: AddressError) -> AddressError {
    let (_, at) = cut_gap(rest);
    let (second, _) = cut_word(at);
    if let Some(first) = word.strip_suffix('-')
        && may_be_address(second)
        && parse_address(first).is_some()
    {
        let joined = format!("{first}-{second}");
        let hint = format!("write {joined}");
        return AddressError::new(line, "white space in a range", hint);
    }
    if let Some(negated) = word.strip_prefix('!')
        && parse_written(negated).is_ok()
    {
        let hint = format!("an exception is added with ipblock-ctl exception add RULE {negated}");
        return AddressError::new(word, "`!` negates the address", hint);
    }
    if !may_be_address(word) && may_be_address(second) && parse_written(second).is_ok() {
        let shown = super::excerpt(word);
        let problem = format!("the line begins with `{shown}`, not with an address");
        let hint = format!("write {second} first, and what is said of it after `#`");
        return AddressError::new(line, problem, hint);
    }
    error
}

fn after_comma(line: &str, word: &str) -> AddressError {
    let problem = format!("`{}` after a comma is not an address", super::excerpt(word));
    let hint = "write a note after `#`; records of several columns are read with --format csv and \
                a header";
    AddressError::new(line, problem, hint.to_owned())
}

fn several_or_note(line: &str) -> AddressError {
    let problem = "several addresses, or a note that begins with one";
    let hint = "write the addresses without a note, or the note after `#`";
    AddressError::new(line, problem, hint.to_owned())
}

fn text_between(line: &str) -> AddressError {
    let problem = "several addresses with text between them, or a note that holds one";
    let hint = "write one address a line, and a note that holds an address after `#`";
    AddressError::new(line, problem, hint.to_owned())
}
