//! Addresses out of other programs' files.

use std::{
    collections::HashSet,
    io::{BufReader, Read},
};

use ipblock_policy::{
    List, ListElement, Ruleset,
    exchange::{
        self, FileFormat, MAX_PREFIXES, MAX_REFUSED, Parsed, ReadError, ReadOptions, Selection,
        read, read_list,
    },
};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{line_formats, second_reading};

/// The first byte of an input selects its format; any other value means detection.
const FORMATS: [(u8, FileFormat); 21] = [
    (b'p', FileFormat::Plain),
    (b'c', FileFormat::Csv),
    (b'j', FileFormat::Json),
    (b'i', FileFormat::Ipset),
    (b'n', FileFormat::Nft),
    (b's', FileFormat::Spamhaus),
    (b't', FileFormat::Toml),
    (b'r', FileFormat::Rir),
    (b'C', FileFormat::Crowdsec),
    (b'f', FileFormat::Fail2ban),
    (b'I', FileFormat::Iptables),
    (b'F', FileFormat::Firewalld),
    (b'S', FileFormat::Csf),
    (b'H', FileFormat::HostsDeny),
    (b'N', FileFormat::Nginx),
    (b'A', FileFormat::Apache),
    (b'M', FileFormat::Mikrotik),
    (b'P', FileFormat::P2p),
    (b'E', FileFormat::Ipfilter),
    (b'l', FileFormat::Ndjson),
    (b'x', FileFormat::Stix),
];

/// Maximum of prefixes in one range.
const OF_A_RANGE: usize = 254;

/// What is taken is what a second, independent reading takes. The size of the result is limited by the
/// input, the result does not depend on how the input is
/// divided into reads, and it can be read back from every format.
pub fn import(data: &[u8]) {
    let Some((&first, content)) = data.split_first() else {
        return;
    };
    let format = FORMATS.iter().find(|(byte, _)| *byte == first);
    let format = format.map(|(_, format)| *format);
    let parsed = match read(content, format) {
        Ok(parsed) => parsed,
        Err(ReadError::TooMany { line }) => panic!("{} bytes, line {line}", content.len()),
        Err(
            ReadError::Binary { .. }
            | ReadError::TooManyDefined { .. }
            | ReadError::TooManySets { .. },
        ) => return,
        Err(error) => panic!("nothing but the input can fail: {error}"),
    };
    check_bounds(&parsed, content);
    line_formats::check(content, &parsed);
    let in_parts = read(BufReader::with_capacity(3, Dripping(content)), format);
    assert_eq!(in_parts.unwrap(), parsed);
    check_written(&parsed.elements);
    if let Ok(text) = str::from_utf8(content) {
        second_reading::check(parsed.format, text, &parsed);
        if format.is_none() {
            check_list_file(text, &parsed);
        }
    }
    second_reading::check_tables(content);
}

fn check_bounds(parsed: &Parsed, content: &[u8]) {
    let entries = usize::try_from(parsed.read).unwrap();
    let refused = parsed.refused.len() + usize::try_from(parsed.more_refused).unwrap();
    // A document that is rejected as a whole may be empty. A variable of nft may be used many
    // times.
    let most = (content.len() + 1) * (content.len() + 1);
    assert!(entries <= most, "{entries} entries");
    assert!(
        refused <= entries && parsed.timed <= parsed.read,
        "{parsed:?}"
    );
    let held = parsed.elements.len();
    assert!(held <= (entries - refused) * OF_A_RANGE && held <= MAX_PREFIXES);
    assert!(parsed.refused.len() <= MAX_REFUSED);
    assert!(parsed.more_refused == 0 || parsed.refused.len() == MAX_REFUSED);
    let lines = content.split(|byte| *byte == b'\n').count() as u64;
    for refusal in &parsed.refused {
        assert!(
            (1..=lines).contains(&refusal.line),
            "{refusal:?} of {lines} lines"
        );
        let hint = refusal.hint.as_deref().unwrap_or("-");
        for part in [refusal.text.as_str(), &refusal.problem, hint] {
            assert!(part.len() < 2_048, "{refusal:?}");
            assert!(!part.contains(char::is_control), "{refusal:?}");
        }
    }
    let mut seen = HashSet::new();
    for element in &parsed.elements {
        assert_eq!(element.prefix, element.prefix.trunc());
        assert!(seen.insert(element.prefix), "{} twice", element.prefix);
        // A single mapped address is IPv4.
        let address = element.prefix.addr();
        let is_single = element.prefix.prefix_len() == 128;
        assert!(!is_single || address.to_canonical() == address);
        // A byte that is not UTF-8 becomes three.
        assert!(element.note.len() <= 3 * content.len());
    }
}

fn check_written(elements: &[ListElement]) {
    let prefixes = |elements: &[ListElement]| -> Vec<IpNet> {
        elements.iter().map(|element| element.prefix).collect()
    };
    let expected = prefixes(elements);
    let read_as = |text: &str, format| {
        let parsed = read(text.as_bytes(), Some(format)).unwrap();
        assert_eq!(parsed.refused, [], "{text}");
        parsed.elements
    };
    let plain = read_as(&exchange::plain(elements), FileFormat::Plain);
    assert_eq!(prefixes(&plain), expected);

    let list = List::by_hand(elements.to_vec());
    let name = "feed".parse().unwrap();
    let mut ruleset = Ruleset::default();
    ruleset.lists.insert("feed".parse().unwrap(), list.clone());
    let text = exchange::csv(
        &ruleset,
        Selection::List(&name, &list),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(
        prefixes(&read_as(&text, FileFormat::Csv)),
        expected,
        "{text}"
    );
    let text = exchange::json(&ruleset);
    assert_eq!(
        read_as(&text, FileFormat::Json),
        trimmed(elements),
        "{text}"
    );
    crate::document::check_printed(&ruleset);

    // Sets have no order, and split prefixes that they cannot contain.
    let fewest = ipblock_policy::address::aggregate(expected.iter().copied());
    let fewest_of = |text: &str, format| {
        let read = read_as(text, format);
        ipblock_policy::address::aggregate(read.iter().map(|element| element.prefix))
    };
    let text = exchange::ipset(elements);
    assert_eq!(fewest_of(&text, FileFormat::Ipset), fewest, "{text}");
    let text = exchange::nft(elements);
    assert_eq!(fewest_of(&text, FileFormat::Nft), fewest, "{text}");
}

/// White space around a note is removed.
fn trimmed(elements: &[ListElement]) -> Vec<ListElement> {
    let trim = |element: &ListElement| ListElement {
        prefix: element.prefix,
        note: element.note.trim().into(),
    };
    elements.iter().map(trim).collect()
}

/// A list file gives everything that `import` reads, or nothing if that omits an address.
fn check_list_file(text: &str, parsed: &Parsed) {
    match read_list(text, &ReadOptions::default()) {
        Ok(elements) => {
            assert_eq!(parsed.refused, []);
            assert_eq!(parsed.passed_over, []);
            assert_eq!(parsed.timed, 0, "a list has no ends");
            assert_eq!(elements, parsed.elements);
        }
        Err(error) => {
            let is_partial =
                !parsed.refused.is_empty() || !parsed.passed_over.is_empty() || parsed.timed > 0;
            assert!(is_partial, "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
}

/// Returns one byte per read.
struct Dripping<'d>(&'d [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}
