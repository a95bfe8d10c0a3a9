//! Arithmetic on sets of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use num_bigint::BigUint;

/// Returns the minimal prefixes that cover exactly `first` to `last`, in order. `None` if the
/// families differ or `first` is greater than `last`.
#[must_use]
pub fn range_to_prefixes(first: IpAddr, last: IpAddr) -> Option<Vec<IpNet>> {
    if first > last {
        return None;
    }
    let mut prefixes = Vec::new();
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            push_ipv4(first.into(), last.into(), &mut prefixes);
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            push_ipv6(first.into(), last.into(), &mut prefixes);
        }
        _ => return None,
    }
    Some(prefixes)
}

/// Returns the minimal prefixes that cover the same addresses, sorted, IPv4 first.
///
/// Takes O(n log n), or O(n) for sorted prefixes.
#[must_use]
pub fn aggregate(prefixes: impl IntoIterator<Item = IpNet>) -> Vec<IpNet> {
    let prefixes = prefixes.into_iter();
    let (mut ipv4, mut ipv6) = (Vec::with_capacity(prefixes.size_hint().0), Vec::new());
    for prefix in prefixes {
        match prefix {
            IpNet::V4(net) => ipv4.push((u32::from(net.network()), u32::from(net.broadcast()))),
            IpNet::V6(net) => ipv6.push((u128::from(net.network()), u128::from(net.broadcast()))),
        }
    }
    merge(&mut ipv4, |last| last.checked_add(1));
    merge(&mut ipv6, |last| last.checked_add(1));
    let mut out = Vec::with_capacity(ipv4.len() + ipv6.len());
    for (first, last) in ipv4 {
        push_ipv4(first, last, &mut out);
    }
    for (first, last) in ipv6 {
        push_ipv6(first, last, &mut out);
    }
    out
}

/// Sorts ranges and joins those that overlap or touch.
fn merge<T: Copy + Ord>(ranges: &mut Vec<(T, T)>, after: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    ranges.dedup_by(|later, earlier| {
        let joins = later.0 <= earlier.1 || after(earlier.1) == Some(later.0);
        if joins {
            earlier.1 = earlier.1.max(later.1);
        }
        joins
    });
}

fn push_ipv4(first: u32, last: u32, out: &mut Vec<IpNet>) {
    blocks(first.into(), last.into(), 32, |address, length| {
        // Blocks of a 32-bit range start inside it.
        let address = Ipv4Addr::from(u32::try_from(address).unwrap_or(u32::MAX));
        out.extend(Ipv4Net::new(address, length).map(IpNet::V4));
    });
}

fn push_ipv6(first: u128, last: u128, out: &mut Vec<IpNet>) {
    blocks(first, last, 128, |address, length| {
        out.extend(Ipv6Net::new(Ipv6Addr::from(address), length).map(IpNet::V6));
    });
}

/// Splits `first` to `last` into the largest aligned powers of two, from the left. Each is an
/// address and a prefix length in a family of `bits` bits.
fn blocks(first: u128, last: u128, bits: u8, mut emit: impl FnMut(u128, u8)) {
    let mut at = first;
    loop {
        let aligned = at.trailing_zeros();
        let fits = (last - at).checked_add(1).map_or(128, u128::ilog2);
        let host_bits = aligned.min(fits).min(u32::from(bits));
        // `host_bits` is at most `bits`, so the conversion succeeds.
        emit(at, bits - u8::try_from(host_bits).unwrap_or(bits));
        let end = at | low_bits(host_bits);
        if end >= last {
            return;
        }
        at = end + 1;
    }
}

/// Returns a number with the lowest `count` bits set; `count` is at most 128.
fn low_bits(count: u32) -> u128 {
    u128::MAX.checked_shr(128 - count).unwrap_or(0)
}

/// Returns the number of addresses in disjoint prefixes.
#[must_use]
pub fn count_addresses(disjoint: &[IpNet]) -> BigUint {
    let mut total = BigUint::ZERO;
    let mut small = 0_u128;
    for prefix in disjoint {
        let size = 1_u128.checked_shl(host_bits(*prefix));
        match size.and_then(|size| small.checked_add(size)) {
            Some(sum) => small = sum,
            None => total += BigUint::from(1_u8) << host_bits(*prefix),
        }
    }
    total + small
}

fn host_bits(prefix: IpNet) -> u32 {
    u32::from(prefix.max_prefix_len() - prefix.prefix_len())
}

/// Describes a whole family: `0.0.0.0/0, every IPv4 address`.
#[must_use]
pub fn every_address(family: IpNet) -> String {
    let version = if family.addr().is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    };
    format!("{family}, every {version} address")
}

/// Returns `0.0.0.0/0` or `::/0` if the prefixes together contain every address of that family.
///
/// Each call of `prefixes` returns an iterator over all of them. If their sum cannot reach a
/// family, one pass without an allocation is enough.
#[must_use]
pub fn covered_family<I>(prefixes: impl Fn() -> I) -> Option<IpNet>
where
    I: IntoIterator<Item = IpNet>,
{
    let (mut ipv4, mut ipv6) = (0_u64, 0_u128);
    for prefix in prefixes() {
        match prefix {
            IpNet::V4(_) => ipv4 = ipv4.saturating_add(1 << host_bits(prefix)),
            // One less than the addresses of `::/0`, which overflow: at worst one unnecessary
            // check.
            IpNet::V6(_) => ipv6 = ipv6.saturating_add(low_bits(host_bits(prefix)).max(1)),
        }
    }
    if ipv4 < 1 << 32 && ipv6 < u128::MAX >> 1 {
        return None;
    }
    aggregate(prefixes())
        .into_iter()
        .find(|prefix| prefix.prefix_len() == 0)
}
