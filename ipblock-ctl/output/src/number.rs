//! Numbers for people; not used for JSON.

pub use ipblock_api::counted;

/// Returns the number with a comma before every three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    ipblock_api::grouped(number)
}

/// As [`grouped`], for a decimal string of any length.
#[must_use]
pub fn grouped_text(digits: &str) -> String {
    ipblock_api::grouped(digits)
}

/// Returns up to seven digits exactly, else three or four digits with a decimal prefix: `12.3M`.
#[must_use]
pub fn short(number: u64) -> String {
    if number < 10_000_000 {
        return grouped(number);
    }
    let (value, prefix) = scaled(number, 1_000_000, &["M", "G", "T", "P", "E"]);
    format!("{value}{prefix}")
}

/// Returns bytes with a decimal unit: `180 B`, `1.2 kB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let (value, unit) = scaled(number, 1000, &["kB", "MB", "GB", "TB", "PB", "EB"]);
    format!("{value} {unit}")
}

/// Returns `number` in the largest of `units` that gives at least 1. The first unit has the value
/// `base`, each further one is a thousand times the previous.
fn scaled<'a>(number: u64, base: u64, units: &[&'a str]) -> (String, &'a str) {
    let mut worth = base;
    let mut chosen = "";
    for (index, unit) in units.iter().enumerate() {
        if index > 0 {
            worth *= 1000;
        }
        chosen = unit;
        if number / worth < 1000 {
            break;
        }
    }
    let tenths = (u128::from(number) * 10) / u128::from(worth);
    (format!("{}.{}", tenths / 10, tenths % 10), chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(
            grouped_text("340282366920938463463374607431768211456"),
            "340,282,366,920,938,463,463,374,607,431,768,211,456"
        );
    }

    #[test]
    fn large_numbers_get_a_prefix() {
        assert_eq!(short(9_999_999), "9,999,999");
        assert_eq!(short(10_000_000), "10.0M");
        assert_eq!(short(999_999_999), "999.9M");
        assert_eq!(short(1_000_000_000), "1.0G");
        assert_eq!(short(u64::MAX), "18.4E");
    }

    #[test]
    fn bytes_carry_their_unit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(1_250_000), "1.2 MB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
    }
}
