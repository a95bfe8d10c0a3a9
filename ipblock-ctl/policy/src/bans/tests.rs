use std::collections::BTreeMap;

use proptest::prelude::*;

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

/// What happens to the bans: prefixes get a ban that ends so long after now, or lose it.
type Step = (Vec<(IpNet, Option<u64>)>, u64);

/// Prefixes that often nest: eight addresses of each family and what is around them.
fn prefix() -> impl Strategy<Value = IpNet> {
    (any::<bool>(), 0..8_u8, 0..=4_u8).prop_map(|(ipv4, host, wider)| {
        let text = if ipv4 {
            format!("192.0.2.{host}/{}", 32 - wider)
        } else {
            format!("2001:db8::{host}/{}", 128 - wider)
        };
        net(&text).trunc()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length =
        prop_oneof![4 => (0..20_u64).prop_map(Some), 1 => Just(Some(NEVER)), 3 => Just(None)];
    let change = proptest::collection::vec((prefix(), length), 0..5);
    proptest::collection::vec((change, 0..8_u64), 1..20)
}

fn universe() -> Vec<IpAddr> {
    (0..16)
        .flat_map(|host| [format!("192.0.2.{host}"), format!("2001:db8::{host:x}")])
        .map(|text| text.parse().unwrap())
        .collect()
}

/// The kernel's side: the longest prefix alone answers.
#[derive(Default)]
struct Kernel(BTreeMap<IpNet, u64>);

impl Kernel {
    fn write(&mut self, write: Write) {
        match write {
            Write::Set(prefix, deadline) => {
                self.0.insert(prefix, deadline);
            }
            Write::Remove(prefix) => {
                assert!(self.0.remove(&prefix).is_some(), "{prefix} was not there");
            }
        }
    }

    fn deadline(&self, address: IpAddr) -> Option<u64> {
        let holding = self
            .0
            .iter()
            .filter(|(prefix, _)| prefix.contains(&address));
        let longest = holding.max_by_key(|(prefix, _)| prefix.prefix_len());
        longest.map(|(_, deadline)| *deadline)
    }

    fn bans(&self, address: IpAddr, now: u64) -> bool {
        self.deadline(address)
            .is_some_and(|deadline| now < deadline)
    }
}

/// The naive walk: any ban that holds the address and has not ended.
fn naively_banned(model: &BTreeMap<IpNet, u64>, address: IpAddr, now: u64) -> bool {
    let mut bans = model.iter();
    bans.any(|(prefix, deadline)| prefix.contains(&address) && now < *deadline)
}

fn changes(change: &[(IpNet, Option<u64>)], now: u64) -> Vec<(IpNet, Option<Ban<()>>)> {
    let with_ban = |length: u64| ban(now.saturating_add(length));
    change
        .iter()
        .map(|(prefix, length)| (*prefix, length.map(with_ban)))
        .collect()
}

proptest! {
    #[test]
    fn the_kernel_bans_what_a_naive_walk_bans_while_time_passes(steps in steps()) {
        let (mut bans, mut kernel) = (Bans::default(), Kernel::default());
        let mut model = BTreeMap::new();
        let mut now = 1;
        for (change, pass) in steps {
            let change = changes(&change, now);
            let was: Vec<bool> =
                universe().iter().map(|&address| kernel.bans(address, now)).collect();
            for (prefix, ban) in &change {
                match ban {
                    Some(ban) => model.insert(*prefix, ban.deadline),
                    None => model.remove(prefix),
                };
            }
            for write in bans.change(change).writes {
                kernel.write(write);
                for (address, was) in universe().into_iter().zip(&was) {
                    let stays = *was && naively_banned(&model, address, now);
                    prop_assert!(!stays || kernel.bans(address, now), "{address} after {write:?}");
                }
            }
            for at in [now, now + pass] {
                for address in universe() {
                    let banned = naively_banned(&model, address, at);
                    prop_assert_eq!(kernel.bans(address, at), banned, "{} at {}", address, at);
                    prop_assert_eq!(bans.entry_for(address), kernel.deadline(address));
                    let covering = bans.covering(address.into(), at);
                    prop_assert_eq!(covering.is_some(), banned);
                    if let Some((prefix, ban)) = covering {
                        prop_assert!(prefix.contains(&address));
                        prop_assert_eq!(Some(ban.deadline), kernel.deadline(address));
                    }
                }
            }
            now += pass;
            let ended: Vec<IpNet> = bans.ended(now).collect();
            prop_assert_eq!(ended.len(), model.values().filter(|end| **end <= now).count());
            prop_assert_eq!(bans.count_live(now), model.len() - ended.len());
            // Clearing away is done in part at times.
            let cleared: Vec<IpNet> = ended.into_iter().take(3).collect();
            model.retain(|prefix, _| !cleared.contains(prefix));
            for write in bans.change(cleared.into_iter().map(|prefix| (prefix, None))).writes {
                kernel.write(write);
            }
            let entries: BTreeMap<_, _> = bans.entries().collect();
            prop_assert_eq!(&entries, &kernel.0);
            prop_assert_eq!(bans.iter().map(|(prefix, ban)| (prefix, ban.deadline)).collect::<BTreeMap<_, _>>(), model.clone());
        }
    }

    #[test]
    fn a_change_is_undone_by_what_was_before(first in steps(), second in steps()) {
        let mut bans = Bans::default();
        for (change, _) in first {
            bans.change(changes(&change, 1));
        }
        let mut kernel = Kernel(bans.entries().collect());
        let before: Vec<_> = bans.iter().map(|(prefix, ban)| (prefix, ban.clone())).collect();
        let entries: Vec<_> = bans.entries().collect();
        let all: Vec<_> = second.iter().flat_map(|(change, _)| changes(change, 5)).collect();
        let changed = bans.change(all);
        changed.writes.into_iter().for_each(|write| kernel.write(write));
        let undone = bans.change(changed.before);
        undone.writes.into_iter().for_each(|write| kernel.write(write));
        prop_assert_eq!(bans.iter().map(|(prefix, ban)| (prefix, ban.clone())).collect::<Vec<_>>(), before);
        prop_assert_eq!(bans.entries().collect::<Vec<_>>(), entries.clone());
        prop_assert_eq!(kernel.0, entries.into_iter().collect::<BTreeMap<_, _>>());
    }

    #[test]
    fn what_is_inside_a_prefix_is_found(step in proptest::collection::vec(prefix(), 0..12), whole in prefix()) {
        let mut bans = Bans::default();
        bans.change(step.iter().map(|prefix| (*prefix, Some(ban(9)))));
        let mut expected: Vec<IpNet> = step;
        expected.retain(|prefix| *prefix != whole && whole.contains(prefix));
        expected.sort_unstable();
        expected.dedup();
        let mut found: Vec<IpNet> = bans.inside(whole).map(|(prefix, _)| prefix).collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}
