//! Daemon, command line and kernel together: `ipblockd` in private namespaces with its own bpffs,
//! socket and state directory, and real frames over veth pairs.
//!
//! [`scenario::Scene`] is the usual stage. A test asserts its claim three times: by the frames that
//! arrived, by the counters, and by the answers of the command line. To add a test, find the module
//! of its subject. [`scenario::Scene::judged`] proves that frames did not arrive: it waits until
//! every sent frame is in exactly one total.
#![cfg(test)]

mod alert_sinks;
mod alerts;
mod alerts_flood;
mod amounts;
mod answers;
mod applied;
mod attach;
mod backup;
mod backup_damaged;
mod bad_input;
mod bad_start;
mod ban_counts;
mod bans;
mod bans_again;
mod bans_many;
mod bans_owned;
mod bans_tables;
mod bounded;
mod bridged;
mod confirm;
mod conflicts;
mod control_group;
mod counters;
mod countries;
mod deploys;
mod diagnostics;
mod doctor;
mod dossier;
mod exchange;
mod expiry;
mod faults;
mod flood;
mod guard;
mod guard_together;
mod hostile;
mod interfaces;
mod interrupted;
mod json;
mod jumbo;
mod layers;
mod lists;
mod lists_and_changes;
mod lists_asked;
mod mending;
mod metrics;
mod moved;
mod neighbours;
mod own_stack;
mod panic_off;
mod parts;
mod people;
mod permissions;
mod refused_start;
mod restart;
mod revisions;
mod scenario;
mod told;
mod top;
mod upgrade;
mod verdicts;
mod zones;
