use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ban(deadline: u64) -> Ban<()> {
    Ban { deadline, info: () }
}

fn banned(bans: &[(&str, u64)]) -> Bans<()> {
    let mut all = Bans::default();
    all.change(
        bans.iter()
            .map(|(prefix, deadline)| (net(prefix), Some(ban(*deadline)))),
    );
    all
}

fn writes(bans: &mut Bans<()>, prefix: &str, deadline: Option<u64>) -> Vec<Write> {
    bans.change([(net(prefix), deadline.map(ban))]).writes
}

#[test]
fn bans_after_a_prefix_are_those_that_follow_it_in_the_whole_list() {
    let bans = banned(&[
        ("0.0.0.0/0", 1),
        ("192.0.2.0/24", 2),
        ("192.0.2.0/32", 3),
        ("255.255.255.255/32", 4),
        ("::/0", 5),
        ("2001:db8::/32", 6),
    ]);
    let all: Vec<_> = bans.iter().map(|(prefix, _)| prefix).collect();
    let after = |prefix: Option<IpNet>| -> Vec<IpNet> {
        bans.after(prefix).map(|(prefix, _)| prefix).collect()
    };
    assert_eq!(after(None), all);
    for (place, prefix) in all.iter().enumerate() {
        assert_eq!(after(Some(*prefix)), all[place + 1..], "{prefix}");
    }
    assert_eq!(after(Some(net("192.0.2.0/28"))), all[2..]);
}

#[test]
fn a_short_ban_inside_a_long_one_does_not_end_it_earlier() {
    let mut bans = banned(&[("192.0.2.0/24", 100)]);
    assert_eq!(
        writes(&mut bans, "192.0.2.7/32", Some(10)),
        [Write::Set(net("192.0.2.7/32"), 100)]
    );
    assert_eq!(
        bans.covering(net("192.0.2.7/32"), 50).unwrap().0,
        net("192.0.2.0/24")
    );
}

#[test]
fn a_long_ban_inside_a_short_one_goes_on() {
    let mut bans = banned(&[("192.0.2.7/32", 100)]);
    assert_eq!(
        writes(&mut bans, "192.0.2.0/24", Some(10)),
        [Write::Set(net("192.0.2.0/24"), 10)]
    );
    assert_eq!(bans.covering(net("192.0.2.8/32"), 10), None);
    assert!(bans.covering(net("192.0.2.7/32"), 10).is_some());
}

#[test]
fn a_wide_ban_that_goes_gives_nested_ones_their_own_ends_back() {
    let mut bans = banned(&[
        ("192.0.2.0/24", NEVER),
        ("192.0.2.0/25", 20),
        ("192.0.2.7/32", 10),
        ("192.0.2.200/32", 30),
    ]);
    assert_eq!(
        writes(&mut bans, "192.0.2.0/24", None),
        [
            Write::Set(net("192.0.2.7/32"), 20),
            Write::Set(net("192.0.2.200/32"), 30),
            Write::Set(net("192.0.2.0/25"), 20),
            Write::Remove(net("192.0.2.0/24")),
        ]
    );
}

#[test]
fn repeating_a_ban_moves_its_end_in_both_directions() {
    let mut bans = banned(&[("2001:db8::/64", 50)]);
    let prefix = net("2001:db8::/64");
    for deadline in [80, 20] {
        assert_eq!(
            writes(&mut bans, "2001:db8::/64", Some(deadline)),
            [Write::Set(prefix, deadline)]
        );
    }
    assert!(writes(&mut bans, "2001:db8::/64", Some(20)).is_empty());
    assert_eq!(bans.len(), 1);
    assert_eq!(bans.ended(20).collect::<Vec<_>>(), [prefix]);
}

#[test]
fn the_bans_that_end_next_are_those_of_both_families_that_will_end() {
    let bans = banned(&[
        ("192.0.2.1/32", 10),
        ("192.0.2.2/32", 50),
        ("192.0.2.3/32", 30),
        ("192.0.2.4/32", NEVER),
        ("2001:db8::/64", 40),
        ("2001:db8:1::/64", 11),
        ("2001:db8:2::/64", NEVER),
    ]);
    let next = |limit| -> Vec<String> {
        let next = bans.ending_next(10, limit).into_iter();
        next.map(|(prefix, _)| prefix.to_string()).collect()
    };
    let all = [
        "2001:db8:1::/64",
        "192.0.2.3/32",
        "2001:db8::/64",
        "192.0.2.2/32",
    ];
    assert_eq!(next(9), all);
    assert_eq!(next(2), all[..2]);
    assert!(next(0).is_empty());
    assert!(bans.ending_next(50, 9).is_empty());
}

#[test]
fn what_goes_goes_from_the_widest_to_the_longest_after_what_stays_is_set() {
    let mut bans = banned(&[("10.0.0.0/8", 5), ("10.1.0.0/16", 5), ("10.1.1.0/24", 9)]);
    let changed = bans.change([
        (net("10.1.1.0/24"), None),
        (net("10.1.0.0/16"), None),
        (net("10.0.0.0/8"), Some(ban(20))),
    ]);
    assert_eq!(
        changed.writes,
        [
            Write::Set(net("10.0.0.0/8"), 20),
            Write::Remove(net("10.1.0.0/16")),
            Write::Remove(net("10.1.1.0/24")),
        ]
    );
}

#[test]
fn a_longer_ban_is_there_before_the_wider_one_that_held_its_addresses_ends() {
    let mut bans = banned(&[("192.0.2.0/24", 50)]);
    let (wide, host) = (net("192.0.2.0/24"), net("192.0.2.7/32"));
    let changed = bans.change([(wide, Some(ban(1))), (host, Some(ban(50)))]);
    assert_eq!(changed.writes, [Write::Set(host, 50), Write::Set(wide, 1)]);
}

#[test]
fn the_whole_address_space_can_be_banned() {
    let mut bans = banned(&[("::/0", NEVER), ("0.0.0.0/0", 3)]);
    assert_eq!(bans.entry_for("2001:db8::1".parse().unwrap()), Some(NEVER));
    assert_eq!(bans.entry_for("192.0.2.1".parse().unwrap()), Some(3));
    writes(&mut bans, "::/0", None);
    assert_eq!(bans.entry_for("2001:db8::1".parse().unwrap()), None);
}
