//! `import --as-bans`: entries become bans that end as the file says.

use std::collections::BTreeMap;

use clap::Args;
use ipblock_api::types::BanRequest;
use ipblock_output::{import::ImportedBans, number::counted};
use ipblock_policy::{
    Origin,
    address::{End, push_short},
    edit::Expiry,
    exchange::Parsed,
};
use jiff::{SignedDuration, Timestamp};

use super::{error::CliError, expiry::ExpiryArgs, session::Session};

/// Maximum of prefixes in one request: all of them are banned, or none.
const BATCH: usize = 5_000;

/// Maximum length of a reason in bytes: the daemon's limit.
const MAX_REASON: usize = 256;

/// What `--as-bans` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct AsBansArgs {
    /// Ban the addresses at once, each until its end in the file; nothing is staged. --for, --until
    /// or --permanent is the end of those that the file gives none
    #[arg(long, conflicts_with = "replace", group = "in_force", help_heading = BANS)]
    pub(crate) as_bans: bool,
    #[command(flatten, next_help_heading = BANS)]
    expiry: ExpiryArgs,
    /// Kept with each ban [default: the note of the entry]
    #[arg(long, value_name = "TEXT", requires = "as_bans", help_heading = BANS)]
    reason: Option<String>,
    /// The owner of the bans [default: manual]
    #[arg(
        long,
        value_name = "ORIGIN",
        default_value_t,
        hide_default_value = true,
        requires = "as_bans",
        help_heading = BANS
    )]
    origin: Origin,
}

const BANS: &str = "Bans";

/// Whether requests may do what is refused otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub(crate) wide: bool,
    pub(crate) force: bool,
}

/// The bans of one request.
type Key = (Option<Timestamp>, String);

/// The bans of a file, grouped by end and reason.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    groups: BTreeMap<Key, Vec<String>>,
    /// Number of prefixes whose end is past.
    ended: u64,
}

impl AsBansArgs {
    /// Rejects flags that have no effect without `--as-bans`.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        if self.as_bans || self.expiry.expiry().is_none() {
            return Ok(());
        }
        Err(CliError::Usage {
            message: "an end belongs to bans: a rule or a list keeps its addresses".to_owned(),
            hint: "write --as-bans in the place of --into, or leave the end out".to_owned(),
        })
    }

    /// Returns the bans of a file at this time.
    pub(crate) fn bans(
        &self,
        parsed: &Parsed,
        file: &str,
        now: Timestamp,
    ) -> Result<Bans, CliError> {
        let (mut bans, mut without, mut unreadable) = (Bans::default(), 0_u64, Vec::new());
        // A duration begins now, for all batches.
        let default = match self.expiry.expiry() {
            None => None,
            Some(Expiry::Never) => Some(None),
            Some(Expiry::At(at)) => Some(Some(at)),
            Some(Expiry::After(seconds)) => {
                Some(Some(after(now, i64::try_from(seconds).unwrap_or(i64::MAX))))
            }
        };
        for (index, element) in parsed.elements.iter().enumerate() {
            let end = match parsed.end_of(index) {
                End::Never => None,
                End::At(at) => Some(at),
                End::After(seconds) => Some(after(now, seconds)),
                End::None => {
                    let Some(default) = default else {
                        without += 1;
                        continue;
                    };
                    default
                }
                End::Unreadable => {
                    unreadable.push(element.prefix);
                    continue;
                }
            };
            if end.is_some_and(|end| end <= now) {
                bans.ended += 1;
                continue;
            }
            let reason = self.reason.as_deref().unwrap_or(&element.note);
            let mut text = String::new();
            push_short(&mut text, element.prefix);
            let key = (end, cut(reason).to_owned());
            bans.groups.entry(key).or_default().push(text);
        }
        if let Some(first) = unreadable.first() {
            let prefixes = counted(unreadable.len(), "prefix has", "prefixes have");
            return Err(CliError::Usage {
                message: format!(
                    "{file}: {prefixes} an end that cannot be read, such as {first}; nothing is \
                     banned"
                ),
                hint:
                    "write times with their zone (2030-01-01T00:00:00Z) and durations with their \
                       units (90s, 1h30m); an address that is listed twice needs one end"
                        .to_owned(),
            });
        }
        if without > 0 {
            let prefixes = counted(without, "prefix has", "prefixes have");
            return Err(CliError::Usage {
                message: format!("{file}: {prefixes} no end; nothing is banned"),
                hint: "give these one with --for 1h or --until, or --permanent".to_owned(),
            });
        }
        Ok(bans)
    }

    /// Bans them, in batches: a batch is banned as a whole or not at all. To repeat the command
    /// changes nothing that is banned already.
    pub(crate) async fn carry_out(
        &self,
        bans: Bans,
        allowed: Allowed,
        session: &mut Session<'_>,
    ) -> Result<ImportedBans, CliError> {
        let mut done = ImportedBans {
            ended: bans.ended,
            ..ImportedBans::default()
        };
        let mut banned = 0;
        let mut warnings = Vec::new();
        for ((end, reason), prefixes) in bans.groups {
            for batch in prefixes.chunks(BATCH) {
                let request = BanRequest {
                    addresses: batch.to_vec(),
                    expires: end.map_or(Expiry::Never, Expiry::At),
                    origin: self.origin.clone(),
                    reason: reason.clone(),
                    v6_prefix: None,
                    shorten: false,
                    force: allowed.force,
                    wide: allowed.wide,
                };
                let asked = session.client.ban(&request);
                let answer = match session.wait("banning", asked).await {
                    Ok(answer) => answer,
                    Err(error) => {
                        let prefixes = counted(banned, "prefix is", "prefixes are");
                        session.note(&format!(
                            "{prefixes} banned, this batch of {} and those after it are not; the \
                             command may be repeated",
                            batch.len()
                        ));
                        return Err(error.into());
                    }
                };
                banned += batch.len();
                done.added += answer.added;
                done.moved += answer.moved;
                done.unchanged += answer.unchanged;
                let count = batch.len() as u64;
                if end.is_some() {
                    done.timed += count;
                } else {
                    done.permanent += count;
                }
                for warning in answer.warnings {
                    if !warnings.contains(&warning) {
                        session.note(&format!("warning: {warning}"));
                        warnings.push(warning);
                    }
                }
            }
        }
        Ok(done)
    }
}

/// Returns a time; beyond the calendar its last second.
fn after(now: Timestamp, seconds: i64) -> Timestamp {
    let duration = SignedDuration::from_secs(seconds);
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Returns the beginning of a text, up to the length of a reason.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipblock_policy::exchange;

    fn args(expiry: ExpiryArgs) -> AsBansArgs {
        AsBansArgs {
            as_bans: true,
            expiry,
            reason: None,
            origin: Origin::default(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().expect("a time")
    }

    /// Returns each ban as `END REASON: PREFIXES`, and what has ended.
    fn shown(text: &str, args: &AsBansArgs) -> Result<(Vec<String>, u64), String> {
        let parsed = exchange::read(text.as_bytes(), None).expect("text");
        let bans = args
            .bans(&parsed, "f", now())
            .map_err(|error| error.to_string())?;
        let groups = bans.groups.into_iter().map(|((end, reason), prefixes)| {
            let end = end.map_or("never".to_owned(), |end| end.to_string());
            format!("{end} {reason}: {}", prefixes.join(" "))
        });
        Ok((groups.collect(), bans.ended))
    }

    #[test]
    fn entries_become_bans_until_their_own_ends() {
        let text = "create s hash:ip timeout 0 comment\n\
                    add s 192.0.2.1 timeout 600 comment \"ssh\"\n\
                    add s 192.0.2.2 timeout 600 comment \"ssh\"\n\
                    add s 192.0.2.3 timeout 0\n";
        let wanted = [
            "never : 192.0.2.3",
            "2026-11-29T12:10:00Z ssh: 192.0.2.1 192.0.2.2",
        ];
        let (bans, ended) = shown(text, &args(ExpiryArgs::default())).expect("bans");
        assert_eq!((bans, ended), (wanted.map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn entries_that_have_ended_are_left_out_and_counted() {
        let text = "ip,expires\n192.0.2.1,2026-11-29T12:00:00Z\n192.0.2.2,-822.640361ms\n\
                    192.0.2.3,1s\n";
        let (bans, ended) = shown(text, &args(ExpiryArgs::default())).expect("bans");
        assert_eq!(bans, ["2026-11-29T12:00:01Z : 192.0.2.3"]);
        assert_eq!(ended, 2);
    }

    #[test]
    fn an_entry_without_an_end_needs_one_and_an_unclear_end_is_refused() {
        let none = args(ExpiryArgs::default());
        let error = shown("192.0.2.1\n192.0.2.2 until 2030-01-01T00:00:00Z\n", &none);
        assert_eq!(
            error,
            Err("f: 1 prefix has no end; nothing is banned".to_owned())
        );
        let hour = args(ExpiryArgs::after(3600));
        let (bans, _) = shown("192.0.2.1\n", &hour).expect("bans");
        assert_eq!(bans, ["2026-11-29T13:00:00Z : 192.0.2.1"]);
        let error = shown("ip,expires\n192.0.2.1,2030-01-01 00:00\n", &hour).expect_err("unclear");
        assert!(
            error.contains("an end that cannot be read, such as 192.0.2.1/32"),
            "{error}"
        );
    }
}
