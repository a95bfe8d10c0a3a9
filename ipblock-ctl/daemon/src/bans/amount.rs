//! How much may be banned without confirmation.
//!
//! A request is judged by the sum of what it newly bans, and broad prefixes in the requests of one
//! hour are added up. So a stream of many requests has the same limit as one request. Single
//! addresses and small networks are not affected by earlier requests.

use ipblock_api::error::{ApiError, ErrorKind, Needs};
use ipblock_datapath::clock::Now;
use ipblock_policy::amount::{NewlyBanned, Sum, WIDE_HINT};
use ipnet::IpNet;

use super::stored::{StoredBans, live_prefixes};
use crate::changes::asked::Asked;

/// The time over which requests are added up, in nanoseconds.
const TOGETHER: u64 = 3_600_000_000_000;

/// Prefixes of this length and longer are not added to those of other requests.
const SMALL_V4: u8 = 24;
const SMALL_V6: u8 = 48;

/// The broad prefixes that were newly banned without confirmation since a time on the boot clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unasked {
    since: u64,
    sum: Sum,
}

impl Unasked {
    /// Refuses bans that newly ban at least one percent of an address family, including what was
    /// recently banned without confirmation, unless the operator has confirmed it. Returns what to
    /// count from now on once the bans are made, and warnings about what was forced.
    pub(super) fn judge(
        self,
        prefixes: &[IpNet],
        bans: &StoredBans,
        now: &Now,
        asked: Asked,
    ) -> Result<(Self, Vec<String>), ApiError> {
        if asked.wide {
            return Ok((self, Vec::new()));
        }
        let earlier = if now.boot_ns.saturating_sub(self.since) < TOGETHER {
            self
        } else {
            Self {
                since: now.boot_ns,
                sum: Sum::default(),
            }
        };
        let covered = |prefix: &IpNet| bans.covering(*prefix, now.boot_ns).is_some();
        let fresh: Vec<IpNet> = prefixes
            .iter()
            .copied()
            .filter(|net| !covered(net))
            .collect();
        let broad: Vec<IpNet> = fresh.iter().copied().filter(is_broad).collect();
        let after = |sum| Self {
            sum: earlier.sum.plus(sum),
            ..earlier
        };
        // Nearly every request ends here, without computing a union.
        let at_most = after(Sum::of_prefixes(broad.iter().copied()));
        if !at_most.sum.is_wide() && !Sum::of_prefixes(fresh.iter().copied()).is_wide() {
            return Ok((at_most, Vec::new()));
        }
        let live = live_prefixes(bans, now);
        let newly = NewlyBanned::new(&fresh, live.iter().copied());
        let newly_broad = NewlyBanned::new(&broad, live);
        let after = after(newly_broad.sum());
        let is_too_much = newly_broad.sum() != Sum::default() && after.sum.is_wide();
        if !newly.sum().is_wide() && !is_too_much {
            return Ok((after, Vec::new()));
        }
        let refusal = newly.refusal(earlier.sum);
        if asked.force {
            let what = refusal.trim_start_matches("refused: ");
            return Ok((earlier, vec![format!("forced: {what}")]));
        }
        Err(ApiError::new(ErrorKind::Conflict, refusal)
            .with_hint(WIDE_HINT)
            .needing(Needs::Wide))
    }
}

fn is_broad(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() < SMALL_V4,
        IpNet::V6(net) => net.prefix_len() < SMALL_V6,
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::end_times::some_moment;

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn sixteens(from: u8, count: u8) -> Vec<IpNet> {
        let nets = (0..count).map(|n| format!("{from}.{n}.0.0/16").parse().unwrap());
        nets.collect()
    }

    fn judge(unasked: Unasked, prefixes: &[IpNet], now: &Now) -> Result<Unasked, ApiError> {
        let bans = StoredBans::default();
        let judged = unasked.judge(prefixes, &bans, now, Asked::default());
        judged.map(|(unasked, _)| unasked)
    }

    #[test]
    fn one_request_of_one_percent_is_refused() {
        let now = some_moment();
        let error = judge(Unasked::default(), &nets(&["64.0.0.0/6"]), &now).unwrap_err();
        assert_eq!(error.needs, Some(Needs::Wide));
        assert!(error.message.contains("1.5 % of IPv4"), "{error}");
        assert!(judge(Unasked::default(), &nets(&["64.0.0.0/7"]), &now).is_ok());
    }

    #[test]
    fn many_small_requests_of_an_hour_count_together() {
        let mut now = some_moment();
        now.boot_ns += TOGETHER;
        let mut unasked = Unasked::default();
        for octet in [20, 21] {
            unasked = judge(unasked, &sixteens(octet, 255), &now).unwrap();
        }
        let error = judge(unasked, &sixteens(22, 255), &now).unwrap_err();
        assert!(
            error.message.contains("other bans of the last hour"),
            "{error}"
        );
        // Single addresses are still accepted, and everything is an hour later.
        judge(unasked, &nets(&["192.0.2.0/24", "2001:db8::/48"]), &now).unwrap();
        now.boot_ns += TOGETHER;
        judge(unasked, &sixteens(22, 255), &now).unwrap();
    }

    #[test]
    fn a_small_network_never_waits_for_the_hour_to_end() {
        let mut unasked = Unasked::default();
        let now = some_moment();
        unasked.sum.ipv4 = ipblock_policy::amount::WIDE_IPV4;
        judge(unasked, &nets(&["192.0.2.1/32"]), &now).unwrap();
        assert!(judge(unasked, &nets(&["9.0.0.0/23"]), &now).is_err());
    }

    #[test]
    fn what_was_allowed_is_not_counted() {
        let (now, bans) = (some_moment(), StoredBans::default());
        for (wide, force) in [(true, false), (false, true)] {
            let asked = Asked { wide, force };
            let wide = nets(&["0.0.0.0/1"]);
            let (unasked, warnings) = Unasked::default().judge(&wide, &bans, &now, asked).unwrap();
            assert_eq!(warnings.len(), usize::from(force));
            judge(unasked, &sixteens(200, 255), &now).unwrap();
        }
    }
}
