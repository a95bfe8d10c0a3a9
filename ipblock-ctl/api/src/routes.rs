//! The routes of the API, each declared once.
//!
//! The daemon's router, its authorisation, its limits of bodies and the client read these
//! declarations. A test compares docs/api.md with them.

use std::{fmt, time::Duration};

/// Timeout of a client for a read: it never waits for a change, and at most 30 s for an alert.
const LOOK: Duration = Duration::from_mins(2);

/// Timeout of a client for a change, or for a copy of the whole store. Changes run one after the
/// other, and one with millions of entries takes minutes. Both timeouts are several times the
/// duration of the slowest request on a small machine.
const CHANGE: Duration = Duration::from_mins(15);

/// Method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`, and `HEAD` with it.
    Get,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// Returns its form in a request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// The right that a request needs and a peer has. The greater one includes the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// May read everything.
    View,
    /// May change everything.
    Change,
}

/// How the daemon receives the body of a request, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Completely into memory before the request is handled.
    Whole,
    /// In parts, to the disk: a backup.
    InParts,
}

/// Declares [`Route`]: name, method, path, right, patience, body.
macro_rules! routes {
    ($($name:ident $method:ident $path:literal $right:ident $patience:ident $body:ident;)*) => {
        /// A route.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Route {
            $(#[doc = concat!("`", $path, "`.")] $name,)*
        }

        impl Route {
            /// Every route.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns its method.
            #[must_use]
            pub const fn method(self) -> Method {
                match self { $(Self::$name => Method::$method,)* }
            }

            /// Returns its path, with `{name}` in place of a name.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// Returns the right that it needs.
            #[must_use]
            pub const fn right(self) -> Right {
                match self { $(Self::$name => Right::$right,)* }
            }

            /// Returns the timeout of a client.
            #[must_use]
            pub const fn patience(self) -> Duration {
                match self { $(Self::$name => $patience,)* }
            }

            /// Returns how its body is received; an unexpected body counts, too.
            #[must_use]
            pub const fn body(self) -> BodyKind {
                match self { $(Self::$name => BodyKind::$body,)* }
            }
        }
    };
}

// A backup contains everything in one file, so it needs the right to change everything. A check
// changes nothing: it is a `POST` because of the size of its body.
routes! {
    Status     Get    "/v1/status"              View   LOOK   Whole;
    Attach     Post   "/v1/interfaces"          Change CHANGE Whole;
    Detach     Delete "/v1/interfaces/{name}"   Change CHANGE Whole;
    Zones      Get    "/v1/zones"               View   LOOK   Whole;
    Rules      Get    "/v1/rules"               View   LOOK   Whole;
    Rule       Get    "/v1/rules/{name}"        View   LOOK   Whole;
    RuleText   Get    "/v1/rules/{name}/toml"   View   LOOK   Whole;
    Allow      Get    "/v1/allow"               View   LOOK   Whole;
    Bans       Get    "/v1/bans"                View   LOOK   Whole;
    Ban        Post   "/v1/bans"                Change CHANGE Whole;
    Unban      Post   "/v1/unban"               Change CHANGE Whole;
    Exceptions Get    "/v1/exceptions"          View   LOOK   Whole;
    Lists      Get    "/v1/lists"               View   LOOK   Whole;
    List       Get    "/v1/lists/{name}"        View   LOOK   Whole;
    AcceptList Post   "/v1/lists/{name}/accept" Change CHANGE Whole;
    ReloadLists Post  "/v1/reload"              Change CHANGE Whole;
    Stage      Post   "/v1/staged/edits"        Change CHANGE Whole;
    Discard    Delete "/v1/staged"              Change CHANGE Whole;
    Diff       Get    "/v1/diff"                View   LOOK   Whole;
    Deploy     Post   "/v1/deploy"              Change CHANGE Whole;
    Confirm    Post   "/v1/confirm"             Change CHANGE Whole;
    Apply      Post   "/v1/apply"               Change CHANGE Whole;
    History    Get    "/v1/history"             View   LOOK   Whole;
    Revision   Get    "/v1/history/{name}"      View   LOOK   Whole;
    Rollback   Post   "/v1/rollback"            Change CHANGE Whole;
    Audit      Get    "/v1/audit"               View   LOOK   Whole;
    Backup     Get    "/v1/backup"              Change CHANGE Whole;
    Restore    Post   "/v1/restore"             Change CHANGE InParts;
    Ruleset    Get    "/v1/ruleset"             View   LOOK   Whole;
    Counters   Get    "/v1/counters"            View   LOOK   Whole;
    Alerts     Get    "/v1/alerts"              View   LOOK   Whole;
    Top        Get    "/v1/top"                 View   LOOK   Whole;
    Metrics    Get    "/metrics"                View   LOOK   Whole;
    Check      Post   "/v1/check"               View   LOOK   Whole;
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method().as_str(), self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/api.md");

    /// Returns the routes of the page's table with the right in the second column, in order. A row
    /// may have several routes, and a route may have several rows, one for each form of its query.
    fn documented() -> Vec<String> {
        let (_, routes) = PAGE.split_once("\n## Routes\n").unwrap();
        let (routes, _) = routes.split_once("\n## ").unwrap();
        let mut found = Vec::new();
        for row in routes.lines().filter_map(|line| line.strip_prefix("| `")) {
            let mut cells = row.split(" | ");
            let (route, right) = (cells.next().unwrap(), cells.next().unwrap());
            for route in route.trim_end_matches('`').split("`, `") {
                let route = route.split('?').next().unwrap();
                found.push(format!("{route}: {right}"));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn the_page_lists_every_route_with_its_right() {
        let declared = Route::ALL.iter().map(|route| {
            let right = match route.right() {
                Right::View => "view",
                Right::Change => "change",
            };
            format!("{route}: {right}")
        });
        let mut declared: Vec<_> = declared.collect();
        declared.sort();
        assert_eq!(documented(), declared);
    }

    #[test]
    fn the_page_says_how_long_a_client_waits() {
        let minutes = |patience: Duration| patience.as_secs() / 60;
        let text = format!(
            "waits {} minutes for a route of the right `view` and {} minutes for one of `change`",
            minutes(LOOK),
            minutes(CHANGE)
        );
        let page: Vec<_> = PAGE.split_whitespace().collect();
        assert!(page.join(" ").contains(&text), "{text}");
        for route in Route::ALL {
            let patience = match route.right() {
                Right::View => LOOK,
                Right::Change => CHANGE,
            };
            assert_eq!(route.patience(), patience, "{route}");
        }
    }

    #[test]
    fn a_path_has_no_parameter_but_a_name() {
        for route in Route::ALL {
            let parameters = route.path().matches('{').count();
            assert_eq!(
                route.path().matches("{name}").count(),
                parameters,
                "{route}"
            );
            assert!(parameters <= 1, "{route}");
        }
    }
}
