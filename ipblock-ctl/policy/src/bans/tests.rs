use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

fn set(prefix: &str, origin_of_it: &str, deadline: u64) -> Change<Origin> {
    let info = origin(origin_of_it);
    Change::Set(net(prefix), Ban { deadline, info })
}

fn end(prefix: &str, origin_of_it: &str) -> Change<Origin> {
    Change::End(net(prefix), origin(origin_of_it))
}

fn banned(bans: &[(&str, u64)]) -> Bans<Origin> {
    let mut all = Bans::default();
    all.change(
        bans.iter()
            .map(|(prefix, deadline)| set(prefix, "manual", *deadline)),
    );
    all
}

fn writes(bans: &mut Bans<Origin>, prefix: &str, deadline: Option<u64>) -> Vec<Write> {
    let change = match deadline {
        Some(deadline) => set(prefix, "manual", deadline),
        None => end(prefix, "manual"),
    };
    bans.change([change]).writes
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
    let ended: Vec<_> = bans.ended(20).map(|(prefix, _)| prefix).collect();
    assert_eq!(ended, [prefix]);
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
        let next = bans.ending_next(10, limit, |_| true).into_iter();
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
    assert!(bans.ending_next(50, 9, |_| true).is_empty());
}

#[test]
fn what_goes_goes_from_the_widest_to_the_longest_after_what_stays_is_set() {
    let mut bans = banned(&[("10.0.0.0/8", 5), ("10.1.0.0/16", 5), ("10.1.1.0/24", 9)]);
    let changed = bans.change([
        end("10.1.1.0/24", "manual"),
        end("10.1.0.0/16", "manual"),
        set("10.0.0.0/8", "manual", 20),
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
    let changed = bans.change([
        set("192.0.2.0/24", "manual", 1),
        set("192.0.2.7/32", "manual", 50),
    ]);
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

#[test]
fn the_entry_has_the_latest_end_of_all_owners() {
    let mut bans = Bans::default();
    let prefix = net("192.0.2.7/32");
    let mut writes = |change| bans.change([change]).writes;
    let (short, long) = ("fail2ban/sshd", "crowdsec");
    assert_eq!(
        writes(set("192.0.2.7/32", short, 10)),
        [Write::Set(prefix, 10)]
    );
    assert_eq!(
        writes(set("192.0.2.7/32", long, 50)),
        [Write::Set(prefix, 50)]
    );
    assert_eq!(writes(set("192.0.2.7/32", short, 20)), []);
    // The end of the longer one falls back to that of the other, without a moment of neither.
    assert_eq!(writes(end("192.0.2.7/32", long)), [Write::Set(prefix, 20)]);
    assert_eq!(writes(end("192.0.2.7/32", long)), []);
    assert_eq!(writes(end("192.0.2.7/32", short)), [Write::Remove(prefix)]);
}

#[test]
fn an_owner_that_ends_leaves_the_ban_of_the_other() {
    let mut bans = Bans::default();
    bans.change([
        set("192.0.2.7/32", "a", 10),
        set("192.0.2.7/32", "b", 50),
        set("192.0.2.7/32", "c", 10),
    ]);
    let of = |found: &mut dyn Iterator<Item = (IpNet, &Ban<Origin>)>| -> Vec<String> {
        found.map(|(_, ban)| ban.info.to_string()).collect()
    };
    assert_eq!(of(&mut bans.ended(10)), ["a", "c"]);
    assert_eq!(
        (bans.len(), bans.prefixes(), bans.count_live(10)),
        (3, 1, 1)
    );
    let (by, last) = bans.covering(net("192.0.2.7/32"), 10).unwrap();
    assert_eq!((by, last.info.as_str()), (net("192.0.2.7/32"), "b"));
    let changed = bans.change([end("192.0.2.7/32", "a"), end("192.0.2.7/32", "c")]);
    assert_eq!(changed.writes, []);
    assert_eq!(
        (bans.len(), of(&mut bans.ended(50))),
        (1, vec!["b".to_owned()])
    );
    assert!(bans.change(changed.before).writes.is_empty());
    assert_eq!(
        (bans.len(), of(&mut bans.ended(10))),
        (3, vec!["a".to_owned(), "c".to_owned()])
    );
}

#[test]
fn bans_are_counted_by_origin() {
    let mut bans = Bans::default();
    bans.change([
        set("192.0.2.7/32", "a", 10),
        set("192.0.2.8/32", "a", 50),
        set("2001:db8::/64", "a", 50),
        set("192.0.2.7/32", "b", NEVER),
        set("192.0.2.7/32", "b", 60),
    ]);
    let counts = |bans: &Bans<Origin>, now| -> Vec<(String, usize)> {
        let counts = bans.count_by_origin(now).into_iter();
        counts
            .map(|(origin, count)| (origin.to_string(), count))
            .collect()
    };
    let both = |a, b| vec![("a".to_owned(), a), ("b".to_owned(), b)];
    assert_eq!(counts(&bans, 1), both(3, 1));
    assert_eq!(counts(&bans, 10), both(2, 1));
    bans.change([end("192.0.2.7/32", "b"), end("192.0.2.7/32", "b")]);
    assert_eq!(counts(&bans, 1), [("a".to_owned(), 3)]);
}

#[test]
fn what_covers_a_prefix_comes_from_the_longest_to_the_widest() {
    let mut bans = banned(&[
        ("192.0.2.0/24", 9),
        ("192.0.2.7/32", 5),
        ("192.0.2.8/32", 7),
    ]);
    bans.change([set("192.0.2.0/24", "b", 3), set("192.0.0.0/16", "c", 3)]);
    let around: Vec<_> = bans
        .around(net("192.0.2.7/32"))
        .map(|(prefix, owners)| (prefix.to_string(), owners.len()))
        .collect();
    let expected = [
        ("192.0.2.7/32", 1),
        ("192.0.2.0/24", 2),
        ("192.0.0.0/16", 1),
    ];
    assert_eq!(
        around,
        expected.map(|(prefix, owners)| (prefix.to_owned(), owners))
    );
    assert_eq!(bans.around(net("192.0.0.0/8")).count(), 0);
}
