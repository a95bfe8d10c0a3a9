use jiff::Timestamp;

use super::*;
use crate::{Ruleset, compile::compile, document};

fn ruleset(text: &str) -> Ruleset {
    document::parse(text, "rules.toml", true).unwrap()
}

fn block(matches: &str) -> Ruleset {
    ruleset(&format!(
        "[[rule]]\nname = \"wide\"\naction = \"block\"\nmatch = [{matches}]\n"
    ))
}

/// Returns what zone `default` newly drops, with or without an interface.
fn found(before: &Ruleset, after: &Ruleset, has_interface: bool) -> Option<Wide> {
    let name = ZoneName::default();
    let zone = |ruleset| compile(ruleset, &name, Timestamp::UNIX_EPOCH).unwrap();
    let (before, after) = (zone(before), zone(after));
    let change = ZoneChange {
        name: &name,
        before: Some(&before),
        after: &after,
        has_interface,
    };
    newly_dropped(&[change], &[], &[])
}

fn nets<const N: usize>(nets: [&str; N]) -> Vec<IpNet> {
    nets.map(|net| net.parse().unwrap()).to_vec()
}

#[test]
fn one_percent_is_wide_and_an_address_less_is_not() {
    // 0.0.0.0-2.143.92.40 are 42,949,673 addresses.
    let nothing = Ruleset::default();
    let wide = found(&nothing, &block("\"0.0.0.0-2.143.92.40\""), true).unwrap();
    assert_eq!(wide.sum().ipv4, WIDE_IPV4);
    assert_eq!(WIDE_IPV4, 42_949_673);
    assert!(found(&nothing, &block("\"0.0.0.0-2.143.92.39\""), true).is_none());
}

#[test]
fn ipv6_is_measured_by_what_is_given_out_of_it() {
    let nothing = Ruleset::default();
    // A /9 is 1/64 of 2000::/3, a /10 is 1/128.
    for (net, is_wide) in [("2000::/9", true), ("2000::/10", false), ("4000::/9", true)] {
        let wide = found(&nothing, &block(&format!("\"{net}\"")), true);
        assert_eq!(wide.is_some(), is_wide, "{net}");
    }
    let all = found(&nothing, &block("\"::/0\""), true).unwrap();
    assert_eq!(all.sum().in_words(), "all of IPv6 (measured by 2000::/3)");
}

#[test]
fn what_adds_up_counts_whatever_way_it_comes() {
    let many: Vec<_> = (0..700)
        .map(|n| format!("\"{}.{}.0.0/16\"", n / 256 + 20, n % 256))
        .collect();
    let nothing = Ruleset::default();
    let wide = found(&nothing, &block(&many.join(", ")), true).unwrap();
    assert_eq!(wide.sum().ipv4, 700 << 16);

    let by_list = ruleset(
        "[list.feed]\nmatch = [\"128.0.0.0/2\"]\n\
         [[rule]]\nname = \"r\"\naction = \"block\"\nmatch = [\"@feed\", \"9.0.0.0/24\"]\n",
    );
    let wide = found(&nothing, &by_list, true).unwrap();
    insta::assert_snapshot!(wide.refusal(&by_list, &[], Timestamp::UNIX_EPOCH), @r"
    refused: it would newly drop 25 % of IPv4 (1,073,742,080 addresses)
      128.0.0.0/2 by rule `r` (from list @feed)
      9.0.0.0/24 by rule `r`
    ");
}

#[test]
fn an_exception_or_an_allowed_address_that_goes_counts() {
    let rule = "[[rule]]\nname = \"r\"\naction = \"block\"\nmatch = [\"0.0.0.0/0\"]\n";
    let bare = ruleset(rule);
    let spared = ruleset(&format!("{rule}except = [\"64.0.0.0/3\"]\n"));
    let allowed = ruleset(&format!("[allow]\nmatch = [\"64.0.0.0/3\"]\n{rule}"));
    for before in [spared, allowed] {
        let wide = found(&before, &bare, true).unwrap();
        let said = wide.in_one_line(&bare, &[], Timestamp::UNIX_EPOCH);
        let expected =
            "it would newly drop 12 % of IPv4 (536,870,912 addresses): 64.0.0.0/3 by rule `r`";
        assert_eq!(said, expected);
        assert!(found(&bare, &before, true).is_none());
    }
}

#[test]
fn what_was_dropped_before_is_not_asked_about() {
    let everything = block("\"0.0.0.0/0\", \"::/0\"");
    assert!(found(&everything, &everything, true).is_none());
    assert!(found(&everything, &block("\"0.0.0.0/1\""), true).is_none());
    let warned = ruleset("[[rule]]\nname = \"w\"\naction = \"warn\"\nmatch = [\"0.0.0.0/1\"]\n");
    assert!(found(&Ruleset::default(), &warned, true).is_none());
    assert!(found(&warned, &block("\"0.0.0.0/1\""), true).is_some());
}

#[test]
fn a_default_of_drop_counts_where_an_interface_is() {
    let closed = ruleset("[allow]\nmatch = [\"192.0.2.1\"]\n[zone.default]\ndefault = \"drop\"\n");
    let nothing = Ruleset::default();
    assert!(found(&nothing, &closed, false).is_none());
    let wide = found(&nothing, &closed, true).unwrap();
    let said = wide.refusal(&closed, &[], Timestamp::UNIX_EPOCH);
    assert!(said.contains("all of IPv6"), "{said}");
    assert!(
        said.contains("::/0 by the default of zone `default`"),
        "{said}"
    );
    // A rule needs confirmation when it is deployed: an interface may be added later.
    assert!(found(&nothing, &block("\"0.0.0.0/1\""), false).is_some());
    // Removed allow entries of a closed zone without an interface are dropped.
    let half = ruleset("[allow]\nmatch = [\"0.0.0.0/1\"]\n[zone.default]\ndefault = \"drop\"\n");
    assert!(found(&half, &closed, false).is_some());
}

#[test]
fn bans_count_where_an_allow_list_no_longer_wins_over_them() {
    let name = ZoneName::default();
    let zone = |text: &str| compile(&ruleset(text), &name, Timestamp::UNIX_EPOCH).unwrap();
    let allowed = zone("[allow]\nmatch = [\"64.0.0.0/2\"]\n");
    let bare = zone("");
    let change = |before, after| ZoneChange {
        name: &name,
        before: Some(before),
        after,
        has_interface: true,
    };
    let bans = nets(["64.0.0.0/2"]);
    let wide = newly_dropped(&[change(&allowed, &bare)], &bans, &bans).unwrap();
    let said = wide.refusal(&Ruleset::default(), &bans, Timestamp::UNIX_EPOCH);
    assert!(
        said.contains("64.0.0.0/2 by the ban of 64.0.0.0/2"),
        "{said}"
    );
    assert!(newly_dropped(&[change(&bare, &bare)], &bans, &bans).is_none());
    // Bans of a backup that take effect.
    assert!(newly_dropped(&[change(&bare, &bare)], &[], &bans).is_some());
}

#[test]
fn bans_count_what_is_not_banned_already() {
    let banned = NewlyBanned::new(&nets(["64.0.0.0/2", "64.0.0.0/8"]), nets(["64.0.0.0/3"]));
    assert_eq!(banned.sum().ipv4, 1 << 29);
    assert_eq!(
        banned.refusal(Sum::default()),
        "refused: it would newly ban 12 % of IPv4 (536,870,912 addresses): 96.0.0.0/3"
    );
    let little = NewlyBanned::new(&nets(["9.0.0.0/8", "2001:db8::/32"]), []);
    let earlier = Sum {
        ipv4: WIDE_IPV4,
        ipv6: 0,
    };
    let said = little.refusal(earlier);
    assert!(
        said.contains("together with other bans of the last hour"),
        "{said}"
    );
    assert!(said.ends_with("2001:db8::/32, 9.0.0.0/8"), "{said}");
}

#[test]
fn the_widest_prefixes_are_named_and_the_others_counted() {
    let all = AddressSet::new(nets([
        "128.0.0.0/9",
        "192.0.2.1/32",
        "10.0.0.0/8",
        "203.0.113.0/24",
    ]));
    assert_eq!(all.widest(2), (nets(["10.0.0.0/8", "128.0.0.0/9"]), 2));
    let everything = AddressSet::new(nets(["0.0.0.0/1", "128.0.0.0/1", "::/0"]));
    assert_eq!(everything.widest(5), (nets(["::/0", "0.0.0.0/0"]), 0));
}
