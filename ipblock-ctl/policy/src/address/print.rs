//! Prints prefixes, a million at a time.
//!
//! Nearly all are IPv4. These bypass the formatting machinery, which takes ten times as long.

use std::{fmt::Write as _, net::Ipv4Addr};

use ipnet::IpNet;

/// Appends a prefix with its length, as `Display` writes it.
pub(crate) fn push_prefix(out: &mut String, prefix: IpNet) {
    match prefix {
        IpNet::V4(net) => {
            push_ipv4(out, net.addr());
            out.push('/');
            push_number(out, net.prefix_len());
        }
        // Writing into a String does not fail.
        IpNet::V6(net) => drop(write!(out, "{net}")),
    }
}

/// Appends the shortest text of a prefix: a single address without its length.
pub fn push_short(out: &mut String, prefix: IpNet) {
    match prefix {
        IpNet::V4(net) if net.prefix_len() == 32 => push_ipv4(out, net.addr()),
        IpNet::V6(net) if net.prefix_len() == 128 => drop(write!(out, "{}", net.addr())),
        prefix => push_prefix(out, prefix),
    }
}

fn push_ipv4(out: &mut String, address: Ipv4Addr) {
    let [a, b, c, d] = address.octets();
    for octet in [a, b, c] {
        push_number(out, octet);
        out.push('.');
    }
    push_number(out, d);
}

fn push_number(out: &mut String, number: u8) {
    let digit = |digit: u8| char::from(b'0' + digit % 10);
    if number >= 100 {
        out.push(digit(number / 100));
    }
    if number >= 10 {
        out.push(digit(number / 10));
    }
    out.push(digit(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_written_as_display_writes_it_and_an_address_without_its_length() {
        let numbered = (0..=255).map(|n: u8| format!("{n}.0.{n}.255/32"));
        let others = [
            "0.0.0.0/0",
            "192.0.2.0/24",
            "2001:db8::/32",
            "2001:db8::1/128",
        ];
        for text in numbered.chain(others.map(str::to_owned)) {
            let (mut long, mut short) = (String::new(), String::new());
            push_prefix(&mut long, text.parse().unwrap());
            push_short(&mut short, text.parse().unwrap());
            assert_eq!(long, text);
            let single = text.strip_suffix("/32").filter(|_| !text.contains(':'));
            let single = single.or_else(|| text.strip_suffix("/128"));
            assert_eq!(short, single.unwrap_or(&text));
        }
    }
}
