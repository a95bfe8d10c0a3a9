//! The client of the unix socket, as `ipblock-ctl` uses it.
//!
//! One connection a request: a command sends few, and a connection that lives shorter than the
//! daemon needs no care when the daemon restarts.

mod error;
mod exchange;

use std::{
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

use hyper::{Method, body::Bytes};
use serde::{Serialize, de::DeserializeOwned};

pub use error::ClientError;
use exchange::Patience;

use super::types::{
    AlertQuery, Alerts, AllowInfo, Applied, ApplyRequest, AttachRequest, Attached, AuditInfo,
    AuditQuery, BanInfo, BanRequest, Banned, BansQuery, Check, CheckRequest, Confirmed, Counters,
    DeployRequest, Deployed, DetachQuery, Diff, DiscardQuery, EditRequest, ExceptionInfo,
    HistoryEntry, ListContent, ListInfo, RestoreQuery, RollbackRequest, RuleInfo, RuleText,
    RulesQuery, RulesetText, Staged, Status, TopInfo, TopQuery, UnbanRequest, Unbanned, Which,
    ZoneInfo,
};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ipblock/ipblock.sock";

/// A client of one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    ssh_peers: Vec<IpAddr>,
    patience: Patience,
}

impl Client {
    /// A client of this socket; connects with each request.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            ssh_peers: Vec::new(),
            patience: Patience::USUAL,
        }
    }

    /// Tells the daemon with every request where the operator's SSH session comes from.
    #[must_use]
    pub fn with_ssh_peers(mut self, ssh_peers: Vec<IpAddr>) -> Self {
        self.ssh_peers = ssh_peers;
        self
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET /v1/status`.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// `POST /v1/interfaces`.
    pub async fn attach(&self, request: &AttachRequest) -> Result<Attached, ClientError> {
        self.post("/v1/interfaces", request).await
    }

    /// `DELETE /v1/interfaces/{name}`; with `moved` only devices that were attached by this name and have
    /// another one, or are in another network namespace.
    pub async fn detach(&self, interface: &str, moved: bool) -> Result<(), ClientError> {
        let path = format!("/v1/interfaces/{}", path_segment(interface));
        let path = with_query(&path, &DetachQuery { moved })?;
        self.send(Method::DELETE, &path, Vec::new()).await?;
        Ok(())
    }

    /// `GET /v1/zones`.
    pub async fn zones(&self) -> Result<Vec<ZoneInfo>, ClientError> {
        self.get("/v1/zones").await
    }

    /// `GET /v1/rules`.
    pub async fn rules(&self, query: RulesQuery) -> Result<Vec<RuleInfo>, ClientError> {
        self.get(&with_query("/v1/rules", &query)?).await
    }

    /// `GET /v1/rules/{name}`.
    pub async fn rule(&self, name: &str, query: RulesQuery) -> Result<RuleInfo, ClientError> {
        let path = format!("/v1/rules/{}", path_segment(name));
        self.get(&with_query(&path, &query)?).await
    }

    /// `GET /v1/rules/{name}/toml`.
    pub async fn rule_text(&self, name: &str) -> Result<RuleText, ClientError> {
        self.get(&format!("/v1/rules/{}/toml", path_segment(name)))
            .await
    }

    /// `GET /v1/allow`.
    pub async fn allow(&self) -> Result<Vec<AllowInfo>, ClientError> {
        self.get("/v1/allow").await
    }

    /// `GET /v1/alerts`.
    pub async fn alerts(&self, query: &AlertQuery) -> Result<Alerts, ClientError> {
        self.get(&with_query("/v1/alerts", query)?).await
    }

    /// `GET /v1/top`.
    pub async fn top(&self, query: &TopQuery) -> Result<Vec<TopInfo>, ClientError> {
        self.get(&with_query("/v1/top", query)?).await
    }

    /// `GET /metrics`: the text that Prometheus reads.
    pub async fn metrics(&self) -> Result<Bytes, ClientError> {
        self.send(Method::GET, "/metrics", Vec::new()).await
    }

    /// `GET /v1/bans`.
    pub async fn bans(&self, query: BansQuery) -> Result<Vec<BanInfo>, ClientError> {
        self.get(&with_query("/v1/bans", &query)?).await
    }

    /// `POST /v1/bans`.
    pub async fn ban(&self, request: &BanRequest) -> Result<Banned, ClientError> {
        self.post("/v1/bans", request).await
    }

    /// `POST /v1/unban`.
    pub async fn unban(&self, request: &UnbanRequest) -> Result<Unbanned, ClientError> {
        self.post("/v1/unban", request).await
    }

    /// `GET /v1/exceptions`.
    pub async fn exceptions(&self) -> Result<Vec<ExceptionInfo>, ClientError> {
        self.get("/v1/exceptions").await
    }

    /// `GET /v1/lists`.
    pub async fn lists(&self) -> Result<Vec<ListInfo>, ClientError> {
        self.get("/v1/lists").await
    }

    /// `GET /v1/lists/{name}`.
    pub async fn list(&self, name: &str) -> Result<ListContent, ClientError> {
        self.get(&format!("/v1/lists/{}", path_segment(name))).await
    }

    /// `POST /v1/lists/{name}/accept`.
    pub async fn accept_list(&self, name: &str) -> Result<Deployed, ClientError> {
        let path = format!("/v1/lists/{}/accept", path_segment(name));
        self.post(&path, &()).await
    }

    /// `POST /v1/staged/edits`.
    pub async fn edit(&self, request: &EditRequest) -> Result<Staged, ClientError> {
        self.post("/v1/staged/edits", request).await
    }

    /// `DELETE /v1/staged`.
    pub async fn discard(&self) -> Result<Staged, ClientError> {
        self.call(Method::DELETE, "/v1/staged", Vec::new()).await
    }

    /// `DELETE /v1/staged?own=N`.
    pub async fn discard_own(&self, own: u64) -> Result<Staged, ClientError> {
        let path = with_query("/v1/staged", &DiscardQuery { own: Some(own) })?;
        self.call(Method::DELETE, &path, Vec::new()).await
    }

    /// `GET /v1/diff`.
    pub async fn diff(&self) -> Result<Diff, ClientError> {
        self.get("/v1/diff").await
    }

    /// `POST /v1/deploy`.
    pub async fn deploy(&self, request: &DeployRequest) -> Result<Deployed, ClientError> {
        self.post("/v1/deploy", request).await
    }

    /// `POST /v1/apply`.
    pub async fn apply(&self, request: &ApplyRequest) -> Result<Applied, ClientError> {
        self.post("/v1/apply", request).await
    }

    /// `POST /v1/confirm`.
    pub async fn confirm(&self) -> Result<Confirmed, ClientError> {
        self.post("/v1/confirm", &()).await
    }

    /// `GET /v1/history`.
    pub async fn history(&self) -> Result<Vec<HistoryEntry>, ClientError> {
        self.get("/v1/history").await
    }

    /// `POST /v1/rollback`.
    pub async fn rollback(&self, request: &RollbackRequest) -> Result<Applied, ClientError> {
        self.post("/v1/rollback", request).await
    }

    /// `GET /v1/audit`.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditInfo>, ClientError> {
        self.get(&with_query("/v1/audit", query)?).await
    }

    /// `GET /v1/backup`: an SQLite database.
    pub async fn backup(&self) -> Result<Bytes, ClientError> {
        self.send(Method::GET, "/v1/backup", Vec::new()).await
    }

    /// `POST /v1/restore`.
    pub async fn restore(
        &self,
        backup: Vec<u8>,
        query: RestoreQuery,
    ) -> Result<Applied, ClientError> {
        let path = with_query("/v1/restore", &query)?;
        self.call(Method::POST, &path, backup).await
    }

    /// `GET /v1/ruleset`.
    pub async fn ruleset(&self, which: Which) -> Result<RulesetText, ClientError> {
        self.get(match which {
            Which::Deployed => "/v1/ruleset?which=deployed",
            Which::Staged => "/v1/ruleset?which=staged",
        })
        .await
    }

    /// `GET /v1/counters`.
    pub async fn counters(&self) -> Result<Counters, ClientError> {
        self.get("/v1/counters").await
    }

    /// `POST /v1/check`.
    pub async fn check(&self, request: &CheckRequest) -> Result<Vec<Check>, ClientError> {
        self.post("/v1/check", request).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Vec::new()).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| ClientError::Protocol {
            route: format!("POST {path}"),
            problem: format!("the request cannot be written as JSON: {error}"),
        })?;
        self.call(Method::POST, path, body).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let route = format!("{method} {path}");
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Protocol {
            route,
            problem: error.to_string(),
        })
    }
}

/// A path with the query that `axum` reads back.
fn with_query(path: &str, query: &impl Serialize) -> Result<String, ClientError> {
    match serde_urlencoded::to_string(query) {
        Ok(query) if query.is_empty() => Ok(path.to_owned()),
        Ok(query) => Ok(format!("{path}?{query}")),
        Err(error) => Err(ClientError::Protocol {
            route: format!("GET {path}"),
            problem: format!("the query cannot be written: {error}"),
        }),
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986, section 2.3: interface names may
/// hold any byte but `/`.
fn path_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_segment_holds_no_delimiters() {
        assert_eq!(path_segment("eth0.7"), "eth0.7");
        assert_eq!(path_segment("a?b#c/d%é"), "a%3Fb%23c%2Fd%25%C3%A9");
    }
}
