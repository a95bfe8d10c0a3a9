//! Addresses whose last parts are left out, in formats that define them as networks: `192.0.2.` of
//! hosts.deny and `192.0.2` of Apache are 192.0.2.0/24.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

/// Returns the network of one to three leading parts of an IPv4 address, without a dot at the end.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let mut octets = [0_u8; 4];
    let mut length = 0;
    for part in text.split('.') {
        let octet = octets.get_mut(length)?;
        *octet = part.parse().ok()?;
        // No sign and no leading zero.
        if octet.to_string() != part {
            return None;
        }
        length += 1;
    }
    let bits = u8::try_from(length * 8).ok().filter(|bits| *bits < 32)?;
    let network = Ipv4Net::new(Ipv4Addr::from(octets), bits).ok()?;
    Some(network.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_that_are_there_are_the_network() {
        let cases = [
            ("10", Some("10.0.0.0/8")),
            ("192.0", Some("192.0.0.0/16")),
            ("192.0.2", Some("192.0.2.0/24")),
            ("192.0.2.7", None),
            ("192.0.2.", None),
            ("192.0.02", None),
            ("192.0.256", None),
            ("+10", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let network = network(text).map(|network| network.to_string());
            assert_eq!(network.as_deref(), expected, "{text}");
        }
    }
}
