//! A second reading of line formats, which shares no code with the readers: what they take of a text
//! is what the lines say that they did not refuse.

use std::{collections::HashSet, net::IpAddr};

use ipblock_policy::exchange::{FileFormat, Parsed};

use crate::span::{Span, joined};

/// The first and the last address of a line; `None` for a line without an entry.
type ReadLine = fn(&str) -> Option<(IpAddr, IpAddr)>;

/// Compares what was taken with a second reading, if there is one of the format.
pub(crate) fn check(content: &[u8], parsed: &Parsed) {
    let read: ReadLine = match parsed.format {
        FileFormat::P2p => p2p,
        FileFormat::Ipfilter => ipfilter,
        FileFormat::Csf => csf,
        _ => return,
    };
    // Lines beyond the limit are refused without their numbers; gzip data has no lines.
    if parsed.is_spoilt || parsed.more_refused > 0 || content.starts_with(b"\x1f\x8b") {
        return;
    }
    let refused: HashSet<u64> = parsed.refused.iter().map(|refusal| refusal.line).collect();
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = (1..).zip(text.split('\n'));
    let said = lines.filter(|(number, _)| !refused.contains(number));
    let said = said.filter_map(|(_, line)| read(line.trim()));
    let said: Vec<Span> = said
        .map(|(first, last)| Span::between(first, last))
        .collect();
    let taken = parsed
        .elements
        .iter()
        .map(|element| Span::of(element.prefix))
        .collect();
    assert_eq!(joined(taken), joined(said), "{text}");
}

/// `note:FROM-TO`
fn p2p(line: &str) -> Option<(IpAddr, IpAddr)> {
    if line.starts_with('#') {
        return None;
    }
    let (_, range) = line.rsplit_once(':')?;
    let (first, last) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// `FROM - TO , LEVEL , NOTE`
fn ipfilter(line: &str) -> Option<(IpAddr, IpAddr)> {
    if line.starts_with(['#', ';']) || line.starts_with("//") {
        return None;
    }
    let mut fields = line.split(',');
    let (first, last) = fields.next()?.split_once('-')?;
    let level: u32 = fields
        .next()
        .map_or(Some(0), |level| level.trim().parse().ok())?;
    let octets = |text: &str| -> Option<IpAddr> {
        let octets: Vec<u8> = text
            .split('.')
            .filter_map(|octet| octet.trim().parse().ok())
            .collect();
        let octets: [u8; 4] = octets.try_into().ok()?;
        Some(octets.into())
    };
    (level < 128).then_some((octets(first)?, octets(last)?))
}

/// An address, a prefix or a range before `#`.
fn csf(line: &str) -> Option<(IpAddr, IpAddr)> {
    let entry = line.split('#').next()?.trim();
    let canonical = |address: IpAddr| address.to_canonical();
    if let Some((first, last)) = entry.split_once('-') {
        return Some((
            canonical(first.parse().ok()?),
            canonical(last.parse().ok()?),
        ));
    }
    let Some((address, length)) = entry.split_once('/') else {
        let address = canonical(entry.parse().ok()?);
        return Some((address, address));
    };
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    if length == 128 {
        return Some((canonical(address), canonical(address)));
    }
    let net = ipnet::IpNet::new(address, length).ok()?;
    Some((net.network(), net.broadcast()))
}
