//! The target of a request: a route with name and query.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{
    super::routes::{Method, Route},
    error::ClientError,
};

/// All except the unreserved characters of RFC 3986, section 2.3: interface names may contain any
/// byte except `/`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A route with name and query.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) method: Method,
    /// The path with the query.
    pub(super) path: String,
    /// The timeout of the answer.
    pub(super) patience: Duration,
}

impl From<Route> for Target {
    fn from(route: Route) -> Self {
        Self {
            method: route.method(),
            path: route.path().to_owned(),
            patience: route.patience(),
        }
    }
}

impl Target {
    /// Returns a route to the object with this name.
    pub(super) fn named(route: Route, name: &str) -> Self {
        let name = utf8_percent_encode(name, RESERVED).to_string();
        Self {
            path: route.path().replace("{name}", &name),
            ..Self::from(route)
        }
    }

    /// Adds a query in the form that `axum` parses.
    pub(super) fn with(mut self, query: &impl Serialize) -> Result<Self, ClientError> {
        match serde_urlencoded::to_string(query) {
            Ok(query) if query.is_empty() => Ok(self),
            Ok(query) => {
                let _ = write!(self.path, "?{query}");
                Ok(self)
            }
            Err(error) => Err(ClientError::Protocol {
                route: self.to_string(),
                problem: format!("the query cannot be written: {error}"),
            }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::DetachQuery;

    #[test]
    fn a_name_in_a_path_contains_no_delimiters() {
        let path = |name| Target::named(Route::Rule, name).path;
        assert_eq!(path("eth0.7_a-b~"), "/v1/rules/eth0.7_a-b~");
        assert_eq!(path("a?b#c/d%é"), "/v1/rules/a%3Fb%23c%2Fd%25%C3%A9");
    }

    #[test]
    fn a_target_has_the_name_and_the_query() {
        let target = Target::named(Route::RuleText, "a b");
        assert_eq!(target.to_string(), "GET /v1/rules/a%20b/toml");
        let detach = |moved| {
            let target = Target::named(Route::Detach, "{name}").with(&DetachQuery { moved });
            target.unwrap().to_string()
        };
        assert_eq!(detach(false), "DELETE /v1/interfaces/%7Bname%7D");
        assert_eq!(detach(true), "DELETE /v1/interfaces/%7Bname%7D?moved=true");
    }
}
