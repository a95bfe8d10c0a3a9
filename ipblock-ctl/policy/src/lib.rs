//! The operator's rules, and what follows from them.
//!
//! Pure: no aya, no tokio, no files and no clock. Time is always an argument.
#![forbid(unsafe_code)]

pub mod action;
pub mod address;
mod address_set;
pub mod alert;
pub mod amount;
pub mod bans;
pub mod compile;
pub mod diff;
pub mod document;
mod duplicates;
pub mod duration;
pub mod edit;
pub mod exchange;
pub mod explain;
pub mod guard;
mod hinted;
pub mod lint;
pub mod mode;
pub mod name;
pub mod origin;
pub mod patch;
mod prefix;
pub mod ruleset;
mod safety;
#[cfg(test)]
mod samples;
mod shared_vec;
pub mod shrink;
pub mod source;
pub mod special;
pub mod suggest;
pub mod text;
pub mod word;

pub use action::{Action, Verdict};
pub use alert::AlertKind;
pub use hinted::{Classified, Diagnostic, ErrorKind, Hinted};
pub use mode::{AskedMode, Mode};
pub use name::{ListName, NameError, RuleName, ZoneName};
pub use origin::Origin;
pub use ruleset::{
    At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, Rule, RuleId, Ruleset, Zone,
};
pub use shared_vec::SharedVec;
pub use source::{ListFile, Source, SourceKind, SourceText};
