//! Addresses, prefixes, ranges, names and paths as texts.

use std::net::IpAddr;

use ipblock_policy::{
    At, ListFile, ListName, RuleName, ZoneName,
    address::{
        AddressError, addresses_of_line, aggregate, convert, count_addresses, parse_elements,
        parse_prefixes, range_to_prefixes,
    },
};
use ipnet::IpNet;

use crate::span::{Span, assert_fewest, joined};

/// Lines of an input that are looked at.
const LINES: usize = 16;

/// Each line is an argument. It is accepted exactly if the reference parser accepts it, it denotes
/// exactly the same addresses in minimal prefixes, and its own text is parsed back to it.
pub fn addresses(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<String> = text.split('\n').take(LINES).map(str::to_owned).collect();
    let mut all = Vec::new();
    for line in &lines {
        all.extend(check_argument(line));
        check_names(line);
        check_line(line);
    }
    let united = aggregate(all.iter().copied());
    assert_fewest(&united, all.iter().map(|net| Span::of(*net)).collect());
    assert_eq!(aggregate(united.iter().copied()), united);
    check_conversion(&lines);
    check_range_of_bytes(data);
}

/// Returns the prefixes of the argument.
fn check_argument(text: &str) -> Vec<IpNet> {
    let expected = read(text);
    let elements = parse_elements(text);
    match parse_prefixes(text) {
        Ok(prefixes) => {
            let Reading::Span(span) = expected else {
                panic!("{text:?} was accepted as {prefixes:?}");
            };
            assert_fewest(&prefixes, vec![span]);
            for prefix in &prefixes {
                assert_eq!(parse_prefixes(&prefix.to_string()), Ok(vec![*prefix]));
            }
            let held = prefixes.iter().copied().map(At::Prefix).collect();
            assert_eq!(elements, Ok(held));
            prefixes
        }
        Err(error) => {
            assert!(
                !matches!(expected, Reading::Span(_)),
                "{text:?} was refused: {error}"
            );
            check_error(&error);
            match (elements, expected) {
                (Ok(elements), Reading::List(name)) => {
                    assert_eq!(elements, [At::List(name.parse().unwrap())]);
                }
                (Err(error), Reading::Nothing) => {
                    check_error(&error);
                    assert!(error.hint.is_some(), "{text:?}: {error:?}");
                }
                (elements, _) => panic!("{text:?} as an element: {elements:?}"),
            }
            Vec::new()
        }
    }
}

/// Each part of a line alone has the same meaning as in the line.
fn check_line(text: &str) {
    for part in addresses_of_line(text) {
        match part {
            Ok(part) => drop(parse_elements(&part).unwrap()),
            Err(error) => {
                check_error(&error);
                assert!(error.hint.is_some(), "{text:?}: {error:?}");
            }
        }
    }
}

/// A message fits on a screen and moves no cursor.
fn check_error(error: &AddressError) {
    let hint = error.hint.as_deref().unwrap_or("-");
    for part in [error.value.as_str(), &error.problem, hint] {
        assert!(part.len() < 2_048, "{error:?}");
        assert!(!part.contains(char::is_control), "{error:?}");
    }
    assert!(!error.problem.is_empty() && !hint.is_empty(), "{error:?}");
}

#[derive(Debug)]
enum Reading<'t> {
    Span(Span),
    List(&'t str),
    Nothing,
}

/// Returns the meaning of a text, by the rules and the standard library's addresses.
fn read(text: &str) -> Reading<'_> {
    if let Some(name) = text.strip_prefix('@') {
        return match name.parse::<ListName>() {
            Ok(_) => Reading::List(name),
            Err(_) => Reading::Nothing,
        };
    }
    let span = if let Some((first, last)) = text.split_once('-') {
        read_range(first, last)
    } else if let Some((address, length)) = text.split_once('/') {
        read_prefix(address, length)
    } else {
        let address = text.parse::<IpAddr>().ok();
        address.map(|address| Span::between(address.to_canonical(), address.to_canonical()))
    };
    span.map_or(Reading::Nothing, Reading::Span)
}

fn read_range(first: &str, last: &str) -> Option<Span> {
    let [first, last] = [first, last].map(|end| end.parse::<IpAddr>().ok());
    let (first, last) = (first?, last?);
    let is_mapped = |end: IpAddr| end.to_canonical() != end;
    let canonical = (first.to_canonical(), last.to_canonical());
    if canonical.0 != canonical.1 && (is_mapped(first) || is_mapped(last)) {
        return None;
    }
    let (first, last) = canonical;
    if first.is_ipv4() != last.is_ipv4() || first > last {
        return None;
    }
    Some(Span::between(first, last))
}

fn read_prefix(address: &str, length: &str) -> Option<Span> {
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length
        .parse()
        .ok()
        .filter(|number: &u8| number.to_string() == length)?;
    // Only a single mapped address is IPv4.
    if length == 128 && address.is_ipv6() {
        let address = address.to_canonical();
        return Some(Span::between(address, address));
    }
    let net = IpNet::new(address, length).ok()?;
    (net.trunc() == net).then(|| Span::of(net))
}

fn check_names(text: &str) {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = (1..=64).contains(&text.len())
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '-' || c == '.');
    let names = [
        text.parse::<RuleName>().map(String::from),
        text.parse::<ListName>().map(String::from),
        text.parse::<ZoneName>().map(String::from),
    ];
    for name in names {
        match name {
            Ok(name) => assert!(is_name && name == text),
            Err(error) => assert!(!is_name && !error.to_string().is_empty(), "{text:?}"),
        }
    }
    match text.parse::<ListFile>() {
        Ok(file) => {
            assert_eq!(file.as_str(), text);
            let components = file.as_path().components();
            let stays = |part| matches!(part, std::path::Component::Normal(_));
            assert!(components.into_iter().all(stays), "{text:?}");
        }
        Err(error) => {
            let parts = [&error.text, &error.problem, &error.hint];
            assert!(
                !parts.iter().any(|part| part.contains(char::is_control)),
                "{error:?}"
            );
        }
    }
}

fn check_conversion(lines: &[String]) {
    let Ok(conversions) = convert(lines) else {
        return;
    };
    for conversion in conversions {
        let spans = joined(conversion.cidrs.iter().map(|net| Span::of(*net)).collect());
        let [span] = spans.as_slice() else {
            panic!("{conversion:?}");
        };
        let all_but_one = span.last - span.first;
        let expected = match all_but_one.checked_add(1) {
            Some(count) => count.to_string(),
            None => "340282366920938463463374607431768211456".to_owned(),
        };
        assert_eq!(conversion.addresses, expected, "{conversion:?}");
    }
}

/// The first 32 bytes as two addresses of each family.
fn check_range_of_bytes(data: &[u8]) {
    let Some((first, rest)) = data.split_first_chunk::<16>() else {
        return;
    };
    let Some(last) = rest.first_chunk::<16>() else {
        return;
    };
    let ends_v4 = [first, last].map(|bytes| IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let ends_v6 = [first, last].map(|bytes| IpAddr::from(*bytes));
    for [first, last] in [ends_v4, ends_v6] {
        let Some(prefixes) = range_to_prefixes(first, last) else {
            assert!(first > last);
            continue;
        };
        let span = Span::between(first, last);
        assert_fewest(&prefixes, vec![span]);
        let count = count_addresses(&prefixes);
        if let Some(expected) = (span.last - span.first).checked_add(1) {
            assert_eq!(count.to_string(), expected.to_string());
        }
    }
}
