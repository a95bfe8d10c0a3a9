//! Principals: the peer of a connection and its rights, independent of the transport.

use std::{fmt, sync::Arc};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    routes::Right,
};
use ipblock_store::Author;

use super::{connections::rank::Rank, person::Person};

/// Members may change everything, like root.
pub(super) const CHANGE_GROUP: &str = "ipblock";
/// Members may view everything.
pub(super) const VIEW_GROUP: &str = "ipblock-view";

/// The sender of a connection's requests, as its transport identified it.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    pub(super) origin: Origin,
    /// The name for the audit trail; may be empty.
    pub(super) name: Arc<str>,
    /// Who logged in, if that is another user than the origin.
    pub(super) person: Option<Person>,
    pub(super) right: Option<Right>,
}

/// The origin of connections. Those of one origin share places and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// Processes of this user on this host.
    Unix {
        /// Reported by the kernel.
        uid: u32,
    },
    /// Processes on this host whose user the kernel does not report.
    Unidentified,
    /// Hosts that reach the address of the metrics.
    Scrape,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { uid } => write!(f, "uid {uid}"),
            Self::Unidentified => f.write_str("an unknown user"),
            Self::Scrape => f.write_str("scrapers"),
        }
    }
}

impl Origin {
    /// Returns the command that shows its connections.
    pub(super) const fn shown_by(self) -> &'static str {
        match self {
            Self::Unix { .. } | Self::Unidentified => "ss -xp",
            Self::Scrape => "ss -tp",
        }
    }
}

impl Principal {
    /// Returns a principal that only gets refusals from the API.
    pub(super) fn without_rights(origin: Origin) -> Self {
        Self {
            origin,
            name: Arc::default(),
            person: None,
            right: None,
        }
    }

    /// Returns the group of principals with which it shares places.
    pub(super) const fn rank(&self) -> Rank {
        match (self.origin, self.right) {
            (Origin::Scrape, _) => Rank::Scraper,
            (Origin::Unix { uid: 0 }, _) => Rank::Root,
            (_, Some(Right::Change)) => Rank::Member,
            (_, Some(Right::View)) => Rank::Viewer,
            (_, None) => Rank::Stranger,
        }
    }

    /// Returns the author of its changes: its user, and the name of the person. Root without a
    /// login uid may say who it acts for, as sudo does in a container.
    pub(super) async fn author(&self, sudo_user: Option<&str>) -> Author {
        let name = match (&self.person, self.origin, sudo_user) {
            (Some(person), ..) => person.name().await.as_ref().to_owned(),
            (None, Origin::Unix { uid: 0 }, Some(user)) => user.to_owned(),
            _ => self.name.as_ref().to_owned(),
        };
        Author {
            uid: match self.origin {
                Origin::Unix { uid } => Some(uid),
                Origin::Unidentified | Origin::Scrape => None,
            },
            name,
        }
    }

    /// Refuses a request that needs a right which it does not have.
    pub(super) fn require(&self, needed: Right) -> Result<(), ApiError> {
        if self.right >= Some(needed) {
            return Ok(());
        }
        let who = self.origin;
        let message = match self.right {
            Some(_) => format!("{who} may look at everything and change nothing"),
            None => format!("{who} may not talk to ipblockd"),
        };
        let group = match needed {
            Right::View => VIEW_GROUP,
            Right::Change => CHANGE_GROUP,
        };
        Err(
            ApiError::new(ErrorKind::NotPermitted, message).with_hint(format!(
                "run the command as root, for example with sudo, or as a member of group `{group}`"
            )),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: u32, right: Option<Right>) -> Principal {
        Principal {
            right,
            ..Principal::without_rights(Origin::Unix { uid })
        }
    }

    #[test]
    fn a_right_includes_the_smaller_one_and_none_includes_nothing() {
        let view = user(1_000, Some(Right::View));
        let change = user(1_000, Some(Right::Change));
        assert!(view.require(Right::View).is_ok());
        assert!(change.require(Right::View).is_ok());
        assert!(change.require(Right::Change).is_ok());
        let refused = view.require(Right::Change).unwrap_err();
        assert_eq!(
            refused.message,
            "uid 1000 may look at everything and change nothing"
        );
        assert!(refused.hint.unwrap().ends_with("group `ipblock`"));
        for origin in [Origin::Unidentified, Origin::Scrape] {
            let stranger = Principal::without_rights(origin);
            let refused = stranger.require(Right::View).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::NotPermitted, "{origin}");
            assert!(refused.hint.unwrap().ends_with("group `ipblock-view`"));
        }
    }

    #[tokio::test]
    async fn only_root_without_a_login_uid_may_say_who_it_acts_for() {
        let author = async |principal: Principal, sudo_user| {
            let author = principal.author(sudo_user).await;
            author.to_string()
        };
        let root = Principal {
            name: "root".into(),
            ..user(0, None)
        };
        assert_eq!(author(root.clone(), None).await, "uid 0 (root)");
        assert_eq!(author(root.clone(), Some("ada")).await, "uid 0 (ada)");
        let logged_in = Principal {
            person: Some(Person::new(1001, None)),
            ..root
        };
        assert_eq!(author(logged_in, Some("ada")).await, "uid 0 (uid 1001)");
        let member = Principal {
            name: "eve".into(),
            ..user(1_000, Some(Right::Change))
        };
        assert_eq!(author(member, Some("ada")).await, "uid 1000 (eve)");
    }

    #[test]
    fn a_rank_follows_from_the_right_but_root_has_its_own() {
        assert_eq!(user(0, None).rank(), Rank::Root);
        assert_eq!(user(7, Some(Right::Change)).rank(), Rank::Member);
        assert_eq!(user(7, Some(Right::View)).rank(), Rank::Viewer);
        assert_eq!(user(7, None).rank(), Rank::Stranger);
        let rank = |origin| Principal::without_rights(origin).rank();
        assert_eq!(rank(Origin::Unidentified), Rank::Stranger);
        assert_eq!(rank(Origin::Scrape), Rank::Scraper);
    }
}
