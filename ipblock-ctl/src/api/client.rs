//! The client of the unix socket, as `ipblock-ctl` uses it.
//!
//! One connection a request: a command sends few, and a connection that lives shorter than the
//! daemon needs no care when the daemon restarts.

use std::{
    fmt::Write as _,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::{net::UnixStream, time::timeout};

use super::{
    SSH_PEER_HEADER,
    error::{ApiError, ErrorKind},
    types::{
        AlertQuery, Alerts, AllowInfo, Applied, ApplyRequest, AttachRequest, Attached, AuditInfo,
        BanInfo, BanRequest, Banned, BansQuery, Check, CheckRequest, Confirmed, Counters,
        DeployRequest, Deployed, Diff, EditRequest, ExceptionInfo, HistoryEntry, ListContent,
        ListInfo, RestoreQuery, RollbackRequest, RuleInfo, RuleText, RulesQuery, RulesetText,
        Staged, Status, TopInfo, TopQuery, UnbanRequest, Unbanned, Which, ZoneInfo,
    },
};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ipblock/ipblock.sock";

/// A daemon that does not accept for so long is taken as unreachable. Answers have no limit: a
/// deploy of millions of entries takes its time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer that is read, in bytes: above any real ruleset, below what hurts the host.
const MAX_ANSWER: usize = 1 << 30;

/// Why a request brought no answer to work with.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("cannot reach ipblockd at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What connecting said.
        source: io::Error,
    },
    /// The socket is there, and this user may not open it.
    #[error("not permitted to open {}", path.display())]
    NotPermitted {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The daemon closed the connection before it answered.
    #[error("ipblockd closed the connection before it answered {route}: {problem}")]
    Lost {
        /// Method and path.
        route: String,
        /// What happened to the connection.
        problem: String,
    },
    /// An answer that this version does not understand.
    #[error("ipblockd's answer to {route} is not understood: {problem}")]
    Protocol {
        /// Method and path.
        route: String,
        /// What is wrong with the answer.
        problem: String,
    },
}

impl ClientError {
    /// The exit code of `ipblock-ctl`.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 4,
            Self::NotPermitted { .. } => 5,
            Self::Api(error) => error.kind.exit_code(),
            Self::Lost { .. } | Self::Protocol { .. } => 1,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } => {
                "start the daemon with `systemctl start ipblockd`, or name its socket with --socket"
            }
            Self::NotPermitted { .. } => "run the command as root, for example with sudo",
            Self::Api(error) => return error.hint.clone(),
            Self::Lost { .. } => {
                "it may or may not have been carried out: see `ipblock-ctl status` and \
                 `ipblock-ctl diff`"
            }
            Self::Protocol { .. } => {
                "ipblock-ctl and ipblockd may be of different versions: compare \
                 `ipblock-ctl --version` with `ipblock-ctl status`, and restart the daemon"
            }
        };
        Some(hint.to_owned())
    }

    /// Whether the daemon refused for a conflict or for safety.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Api(ApiError {
                kind: ErrorKind::Conflict,
                ..
            })
        )
    }
}

/// A client of one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    ssh_peers: Vec<IpAddr>,
}

impl Client {
    /// A client of this socket; connects with each request.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            ssh_peers: Vec::new(),
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

    /// `DELETE /v1/interfaces/{name}`.
    pub async fn detach(&self, interface: &str) -> Result<(), ClientError> {
        let path = format!("/v1/interfaces/{}", path_segment(interface));
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

    /// `POST /v1/staged/edits`.
    pub async fn edit(&self, request: &EditRequest) -> Result<Staged, ClientError> {
        self.post("/v1/staged/edits", request).await
    }

    /// `DELETE /v1/staged`.
    pub async fn discard(&self) -> Result<Staged, ClientError> {
        self.call(Method::DELETE, "/v1/staged", Vec::new()).await
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
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditInfo>, ClientError> {
        self.get(&format!("/v1/audit?limit={limit}")).await
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
        let RestoreQuery { dry_run, force } = query;
        let path = format!("/v1/restore?dry_run={dry_run}&force={force}");
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

    /// The body of a 2xx answer; any other answer is an error.
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let route = format!("{method} {path}");
        let lost = |problem: String| ClientError::Lost {
            route: route.clone(),
            problem,
        };
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(error.to_string()))?;
        // Ends with the sender; what went wrong with it comes back from the request.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "ipblockd")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        if !self.ssh_peers.is_empty() {
            let peers: Vec<_> = self.ssh_peers.iter().map(ToString::to_string).collect();
            request = request.header(SSH_PEER_HEADER, peers.join(","));
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ClientError::Protocol {
                route: route.clone(),
                problem: format!("the request cannot be built: {error}"),
            })?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| lost(error.to_string()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| lost(error.to_string()))?
            .to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            Err(refusal(route, status, &body))
        }
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let connected = timeout(CONNECT_TIMEOUT, UnixStream::connect(&self.socket)).await;
        let source = match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer in {} s", CONNECT_TIMEOUT.as_secs()),
            ),
        };
        let path = self.socket.clone();
        Err(match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path },
            _ => ClientError::Unreachable { path, source },
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

fn refusal(route: String, status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<ApiError>(body) {
        Ok(error) => ClientError::Api(error),
        Err(_) => ClientError::Protocol {
            route,
            problem: format!("status {status} without a reason"),
        },
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

    #[test]
    fn a_refusal_without_a_reason_is_a_protocol_error() {
        let error = refusal("GET /v1/nope".to_owned(), StatusCode::NOT_FOUND, b"");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(
            error.to_string(),
            "ipblockd's answer to GET /v1/nope is not understood: \
             status 404 Not Found without a reason"
        );
    }

    #[test]
    fn a_refusal_with_a_reason_keeps_it() {
        let body = br#"{"kind":"conflict","message":"no","hint":"do that"}"#;
        let error = refusal("POST /v1/deploy".to_owned(), StatusCode::CONFLICT, body);
        assert!(error.is_conflict());
        assert_eq!(error.exit_code(), 3);
        assert_eq!(error.hint().as_deref(), Some("do that"));
    }
}
