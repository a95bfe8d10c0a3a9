//! The client of the unix socket, for `ipblock-ctl`.
//!
//! It opens one connection per request. A command sends few requests, and a short connection does
//! not notice when the daemon restarts.

mod error;
mod exchange;
mod target;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::body::Bytes;
use serde::{Serialize, de::DeserializeOwned};

pub use self::error::ClientError;
use self::target::Target;
use super::{
    routes::Route,
    types::{
        AlertQuery, Alerts, AllowInfo, Applied, ApplyRequest, AttachRequest, Attached, AuditInfo,
        AuditQuery, BanInfo, BanRequest, Banned, BansQuery, Check, CheckRequest, Confirmed,
        Counters, DeployRequest, Deployed, DetachQuery, Diff, DiffQuery, DiscardQuery, EditRequest,
        ExceptionInfo, HistoryEntry, ListContent, ListInfo, ListQuery, ReloadRequest, Reloaded,
        RestoreQuery, RevisionInfo, RollbackRequest, RuleInfo, RuleText, RulesQuery, RulesetQuery,
        RulesetText, Staged, Status, TopInfo, TopQuery, UnbanRequest, Unbanned, Which, ZoneInfo,
    },
};

/// The daemon's default socket.
pub const DEFAULT_SOCKET: &str = "/run/ipblock/ipblock.sock";

/// How long a client tries to connect: several times the duration on a small machine.
const TO_CONNECT: Duration = Duration::from_secs(5);

/// A client of one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    ssh_peers: Vec<IpAddr>,
    sudo_user: Option<String>,
    /// The timeout to connect.
    to_connect: Duration,
}

impl Client {
    /// Returns a client of this socket, which connects for each request.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            ssh_peers: Vec::new(),
            sudo_user: None,
            to_connect: TO_CONNECT,
        }
    }

    /// Sends the source addresses of the operator's SSH session with every request.
    #[must_use]
    pub fn with_ssh_peers(mut self, ssh_peers: Vec<IpAddr>) -> Self {
        self.ssh_peers = ssh_peers;
        self
    }

    /// Sends the user who called sudo with every request.
    #[must_use]
    pub fn with_sudo_user(mut self, sudo_user: Option<String>) -> Self {
        self.sudo_user = sudo_user;
        self
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// [`Route::Status`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.call(Route::Status).await
    }

    /// [`Route::Attach`].
    pub async fn attach(&self, request: &AttachRequest) -> Result<Attached, ClientError> {
        self.call_with(Route::Attach, request).await
    }

    /// [`Route::Detach`]. With `moved`, only devices that were attached with this name and now have
    /// another name or network namespace.
    pub async fn detach(&self, interface: &str, moved: bool) -> Result<(), ClientError> {
        let target = Target::named(Route::Detach, interface).with(&DetachQuery { moved })?;
        self.send(target, Vec::new()).await?;
        Ok(())
    }

    /// [`Route::Zones`].
    pub async fn zones(&self) -> Result<Vec<ZoneInfo>, ClientError> {
        self.call(Route::Zones).await
    }

    /// [`Route::Rules`].
    pub async fn rules(&self, query: RulesQuery) -> Result<Vec<RuleInfo>, ClientError> {
        self.call(Target::from(Route::Rules).with(&query)?).await
    }

    /// [`Route::Rule`].
    pub async fn rule(&self, name: &str, query: RulesQuery) -> Result<RuleInfo, ClientError> {
        self.call(Target::named(Route::Rule, name).with(&query)?)
            .await
    }

    /// [`Route::RuleText`].
    pub async fn rule_text(&self, name: &str) -> Result<RuleText, ClientError> {
        self.call(Target::named(Route::RuleText, name)).await
    }

    /// [`Route::Allow`].
    pub async fn allow(&self) -> Result<Vec<AllowInfo>, ClientError> {
        self.call(Route::Allow).await
    }

    /// [`Route::Alerts`].
    pub async fn alerts(&self, query: &AlertQuery) -> Result<Alerts, ClientError> {
        self.call(Target::from(Route::Alerts).with(query)?).await
    }

    /// [`Route::Top`].
    pub async fn top(&self, query: &TopQuery) -> Result<Vec<TopInfo>, ClientError> {
        self.call(Target::from(Route::Top).with(query)?).await
    }

    /// [`Route::Metrics`]: the text that Prometheus reads.
    pub async fn metrics(&self) -> Result<Bytes, ClientError> {
        self.send(Route::Metrics.into(), Vec::new()).await
    }

    /// [`Route::Bans`].
    pub async fn bans(&self, query: &BansQuery) -> Result<Vec<BanInfo>, ClientError> {
        self.call(Target::from(Route::Bans).with(query)?).await
    }

    /// [`Route::Ban`].
    pub async fn ban(&self, request: &BanRequest) -> Result<Banned, ClientError> {
        self.call_with(Route::Ban, request).await
    }

    /// [`Route::Unban`].
    pub async fn unban(&self, request: &UnbanRequest) -> Result<Unbanned, ClientError> {
        self.call_with(Route::Unban, request).await
    }

    /// [`Route::Exceptions`].
    pub async fn exceptions(&self) -> Result<Vec<ExceptionInfo>, ClientError> {
        self.call(Route::Exceptions).await
    }

    /// [`Route::Lists`].
    pub async fn lists(&self) -> Result<Vec<ListInfo>, ClientError> {
        self.call(Route::Lists).await
    }

    /// [`Route::List`].
    pub async fn list(&self, name: &str, query: &ListQuery) -> Result<ListContent, ClientError> {
        self.call(Target::named(Route::List, name).with(query)?)
            .await
    }

    /// [`Route::ReloadLists`].
    pub async fn reload_lists(
        &self,
        request: &ReloadRequest,
    ) -> Result<Vec<Reloaded>, ClientError> {
        self.call_with(Route::ReloadLists, request).await
    }

    /// [`Route::AcceptList`].
    pub async fn accept_list(&self, name: &str) -> Result<Deployed, ClientError> {
        self.call_with(Target::named(Route::AcceptList, name), &())
            .await
    }

    /// [`Route::Stage`].
    pub async fn edit(&self, request: &EditRequest) -> Result<Staged, ClientError> {
        self.call_with(Route::Stage, request).await
    }

    /// [`Route::Discard`].
    pub async fn discard(&self, query: &DiscardQuery) -> Result<Staged, ClientError> {
        self.call(Target::from(Route::Discard).with(query)?).await
    }

    /// [`Route::Diff`].
    pub async fn diff(&self, query: DiffQuery) -> Result<Diff, ClientError> {
        self.call(Target::from(Route::Diff).with(&query)?).await
    }

    /// [`Route::Deploy`].
    pub async fn deploy(&self, request: &DeployRequest) -> Result<Deployed, ClientError> {
        self.call_with(Route::Deploy, request).await
    }

    /// [`Route::Apply`].
    pub async fn apply(&self, request: &ApplyRequest) -> Result<Applied, ClientError> {
        self.call_with(Route::Apply, request).await
    }

    /// [`Route::Confirm`].
    pub async fn confirm(&self) -> Result<Confirmed, ClientError> {
        self.call_with(Route::Confirm, &()).await
    }

    /// [`Route::History`].
    pub async fn history(&self) -> Result<Vec<HistoryEntry>, ClientError> {
        self.call(Route::History).await
    }

    /// [`Route::Revision`].
    pub async fn revision(&self, number: u64) -> Result<RevisionInfo, ClientError> {
        self.call(Target::named(Route::Revision, &number.to_string()))
            .await
    }

    /// [`Route::Rollback`].
    pub async fn rollback(&self, request: &RollbackRequest) -> Result<Applied, ClientError> {
        self.call_with(Route::Rollback, request).await
    }

    /// [`Route::Audit`].
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditInfo>, ClientError> {
        self.call(Target::from(Route::Audit).with(query)?).await
    }

    /// [`Route::Backup`]: an SQLite database.
    pub async fn backup(&self) -> Result<Bytes, ClientError> {
        self.send(Route::Backup.into(), Vec::new()).await
    }

    /// [`Route::Restore`].
    pub async fn restore(
        &self,
        backup: Vec<u8>,
        query: RestoreQuery,
    ) -> Result<Applied, ClientError> {
        self.ask(Target::from(Route::Restore).with(&query)?, backup)
            .await
    }

    /// [`Route::Ruleset`].
    pub async fn ruleset(&self, which: Which) -> Result<RulesetText, ClientError> {
        let query = RulesetQuery { which };
        self.call(Target::from(Route::Ruleset).with(&query)?).await
    }

    /// [`Route::Counters`].
    pub async fn counters(&self) -> Result<Counters, ClientError> {
        self.call(Route::Counters).await
    }

    /// [`Route::Check`].
    pub async fn check(&self, request: &CheckRequest) -> Result<Vec<Check>, ClientError> {
        self.call_with(Route::Check, request).await
    }

    /// Returns the answer to a request without a body.
    async fn call<T: DeserializeOwned>(&self, target: impl Into<Target>) -> Result<T, ClientError> {
        self.ask(target.into(), Vec::new()).await
    }

    /// Returns the answer to a request with a JSON body.
    async fn call_with<T: DeserializeOwned>(
        &self,
        target: impl Into<Target>,
        request: &impl Serialize,
    ) -> Result<T, ClientError> {
        let target = target.into();
        let body = serde_json::to_vec(request).map_err(|error| ClientError::Protocol {
            route: target.to_string(),
            problem: format!("the request cannot be written as JSON: {error}"),
        })?;
        self.ask(target, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        target: Target,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let route = target.to_string();
        let answer = self.send(target, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Protocol {
            route,
            problem: error.to_string(),
        })
    }
}
