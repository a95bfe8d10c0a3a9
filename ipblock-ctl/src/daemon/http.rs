//! The routes: JSON in, a method of the service on a blocking thread, JSON out.
//!
//! docs/api.md documents the same routes.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    sync::Arc,
    time::Instant,
};

use axum::{
    Extension, Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::header::CONTENT_TYPE,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited, channel::Channel};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use tracing::warn;

use super::{
    alerts::query,
    answers::{self, answer},
    bodies::{self, Bodies},
    connections::{self, AnswerTime},
    error::Failure,
    guard::Caller,
    metrics, peer,
    state::Service,
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{
            AlertQuery, AuditQuery, BansQuery, DetachQuery, DiscardQuery, RestoreQuery, RulesQuery,
            RulesetQuery, TopQuery,
        },
    },
    store::{Author, DATABASE},
};

/// Largest backup that is taken back.
pub(super) const MAX_BACKUP: usize = 1 << 30;

/// Bytes of a backup that are read at once.
const CHUNK: usize = 256 << 10;

type Shared = State<Arc<Service>>;

/// Every route, each request authorised.
pub(super) fn router(service: Arc<Service>) -> Router {
    let bodies = Bodies::new();
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/interfaces", post(attach))
        .route("/v1/interfaces/{name}", delete(detach))
        .route("/v1/zones", get(zones))
        .route("/v1/rules", get(rules))
        .route("/v1/rules/{name}", get(rule))
        .route("/v1/rules/{name}/toml", get(rule_text))
        .route("/v1/allow", get(allow))
        .route("/v1/alerts", get(alerts))
        .route("/v1/top", get(top))
        .route("/v1/bans", get(bans).post(ban))
        .route("/v1/unban", post(unban))
        .route("/v1/exceptions", get(exceptions))
        .route("/v1/lists", get(lists))
        .route("/v1/lists/{name}", get(list))
        .route("/v1/lists/{name}/accept", post(accept_list))
        .route("/v1/staged/edits", post(stage))
        .route("/v1/staged", delete(discard))
        .route("/v1/diff", get(diff))
        .route("/v1/deploy", post(deploy))
        .route("/v1/apply", post(apply))
        .route("/v1/confirm", post(confirm))
        .route("/v1/history", get(history))
        .route("/v1/rollback", post(rollback))
        .route("/v1/audit", get(audit))
        .route("/v1/ruleset", get(ruleset))
        .route("/v1/counters", get(counters))
        .route("/v1/check", post(check))
        .route("/metrics", get(metrics::on_socket))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_route)
        .route("/v1/backup", get(back_up))
        .layer(middleware::from_fn_with_state(
            bodies.clone(),
            bodies::whole,
        ))
        .route(
            "/v1/restore",
            post(restore).layer(middleware::from_fn_with_state(bodies, bodies::in_parts)),
        )
        // `bodies` has read it.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(errors_as_json))
        .layer(middleware::from_fn(peer::authorise))
        .with_state(service)
}

/// Runs a method of the service where it may block, and answers with what it returns.
async fn run<T: Serialize>(
    service: Arc<Service>,
    method: impl FnOnce(&Service) -> Result<T, ApiError> + Send + 'static,
) -> Response {
    answer(service, move |service, _| Ok(method(service)?)).await
}

pub(super) async fn run_blocking<T: Send + 'static>(
    service: Arc<Service>,
    method: impl FnOnce(&Service) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, Failure> {
    let ticket = connections::ticket();
    let work = tokio::task::spawn_blocking(move || {
        let result = method(&service);
        // Not before: the work goes on when the client does not wait for it.
        drop(ticket);
        result
    });
    match work.await {
        Ok(result) => result.map_err(Failure),
        Err(panic) => Err(Failure(
            ApiError::new(ErrorKind::Failed, format!("the request failed: {panic}"))
                .with_hint("this is a bug in ipblockd; its log tells more"),
        )),
    }
}

fn parse<T: DeserializeOwned>(body: Bytes) -> Result<T, Failure> {
    answers::parse(body).map_err(Failure)
}

async fn status(State(service): Shared) -> impl IntoResponse {
    run(service, Service::status).await
}

async fn attach(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.attach(&request, &caller)).await)
}

async fn detach(
    State(service): Shared,
    Extension(author): Extension<Author>,
    Path(name): Path<String>,
    Query(query): Query<DetachQuery>,
) -> impl IntoResponse {
    run(service, move |service| {
        service.detach(&name, query.moved, &author)
    })
    .await
}

async fn zones(State(service): Shared) -> impl IntoResponse {
    run(service, |service| Ok(service.zones())).await
}

async fn rules(State(service): Shared, Query(query): Query<RulesQuery>) -> impl IntoResponse {
    answer(service, move |service, room| service.rules(query, room)).await
}

async fn rule(
    State(service): Shared,
    Path(name): Path<String>,
    Query(query): Query<RulesQuery>,
) -> impl IntoResponse {
    answer(service, move |service, room| {
        service.rule(&name, query, room)
    })
    .await
}

async fn rule_text(State(service): Shared, Path(name): Path<String>) -> impl IntoResponse {
    run(service, move |service| service.rule_text(&name)).await
}

async fn allow(State(service): Shared) -> impl IntoResponse {
    answer(service, |service, room| service.allow(room)).await
}

async fn alerts(
    State(service): Shared,
    Query(mut query): Query<AlertQuery>,
) -> Result<impl IntoResponse, Failure> {
    let mut last = service.watch_alerts();
    let mut is_stopping = service.is_stopping.subscribe();
    let mut left = query::wait_of(&query);
    while !left.is_zero() {
        let started = Instant::now();
        let asked = (Arc::clone(&service), query.clone());
        let found = run_blocking(asked.0, move |service| service.has_alerts(&asked.1)).await?;
        let (is_there, newest) = found;
        left = left.saturating_sub(started.elapsed());
        let waited = Instant::now();
        if is_there || !query::comes(&mut last, &mut is_stopping, newest, left).await {
            break;
        }
        left = left.saturating_sub(waited.elapsed());
        query.after = Some(newest);
    }
    Ok(answer(service, move |service, _| Ok(service.list_alerts(&query)?)).await)
}

async fn top(State(service): Shared, Query(query): Query<TopQuery>) -> impl IntoResponse {
    answer(service, move |service, room| service.top(query, room)).await
}

async fn bans(State(service): Shared, Query(query): Query<BansQuery>) -> impl IntoResponse {
    answer(service, move |service, room| service.list_bans(query, room)).await
}

async fn ban(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.ban(&request, &caller)).await)
}

async fn unban(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.unban(&request, &author)).await)
}

async fn exceptions(State(service): Shared) -> impl IntoResponse {
    answer(service, |service, room| service.exceptions(room)).await
}

async fn lists(State(service): Shared) -> impl IntoResponse {
    run(service, |service| Ok(service.lists())).await
}

async fn list(State(service): Shared, Path(name): Path<String>) -> impl IntoResponse {
    run(service, move |service| service.list(&name)).await
}

async fn accept_list(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> impl IntoResponse {
    run(service, move |service| service.accept_list(&name, &caller)).await
}

async fn stage(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.stage(&request, &author)).await)
}

async fn discard(
    State(service): Shared,
    Extension(author): Extension<Author>,
    Query(query): Query<DiscardQuery>,
) -> impl IntoResponse {
    run(service, move |service| service.discard(query.own, &author)).await
}

async fn diff(State(service): Shared, Extension(caller): Extension<Caller>) -> impl IntoResponse {
    answer(service, move |service, room| {
        room.need(service.room_of_a_diff())?;
        Ok(service.diff(&caller)?)
    })
    .await
}

async fn deploy(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.deploy(&request, &caller)).await)
}

async fn apply(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.apply(&request, &caller)).await)
}

async fn confirm(
    State(service): Shared,
    Extension(author): Extension<Author>,
) -> impl IntoResponse {
    run(service, move |service| service.confirm(&author)).await
}

async fn history(State(service): Shared) -> impl IntoResponse {
    answer(service, |service, room| service.history(room)).await
}

async fn rollback(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(body)?;
    Ok(run(service, move |service| service.rollback(&request, &caller)).await)
}

async fn audit(State(service): Shared, Query(query): Query<AuditQuery>) -> impl IntoResponse {
    answer(service, move |service, _| Ok(service.audit_trail(&query)?)).await
}

async fn back_up(State(service): Shared) -> Result<Response, Failure> {
    let file = run_blocking(service, Service::back_up).await?;
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(2);
    tokio::spawn(async move {
        let mut reader = BufReader::with_capacity(CHUNK, file);
        loop {
            let chunk =
                tokio::task::block_in_place(|| reader.fill_buf().map(Bytes::copy_from_slice));
            match chunk {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => {
                    reader.consume(chunk.len());
                    // Who closed the connection does not want the rest.
                    if sender.send_data(chunk).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    // The client sees a body that ends too early.
                    warn!(%error, "a backup could not be read");
                    sender.abort(error);
                    break;
                }
            }
        }
    });
    let kind = [(CONTENT_TYPE, "application/vnd.sqlite3")];
    let time = AnswerTime(bodies::BACKUP_TIME);
    Ok((kind, Extension(time), Body::new(body)).into_response())
}

async fn restore(
    State(service): Shared,
    Extension(caller): Extension<Caller>,
    Query(query): Query<RestoreQuery>,
    body: Body,
) -> Result<impl IntoResponse, Failure> {
    let aside = service.directory_aside().map_err(Failure)?;
    let path = aside.path().join(DATABASE);
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("the backup could not be received: {error}");
        Failure(ApiError::new(ErrorKind::Failed, message))
    };
    let too_large = || {
        let message = format!("the backup is larger than {MAX_BACKUP} bytes");
        Failure(ApiError::new(ErrorKind::Invalid, message))
    };
    if body.size_hint().lower() > MAX_BACKUP as u64 {
        return Err(too_large());
    }
    let mut file = File::create(&path).map_err(|error| failed(&error))?;
    // `DefaultBodyLimit` does not count a body that is read in parts.
    let mut body = Limited::new(body, MAX_BACKUP);
    let receive = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return too_large();
                }
                failed(&error)
            })?;
            if let Some(chunk) = frame.data_ref() {
                tokio::task::block_in_place(|| file.write_all(chunk))
                    .map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    };
    match timeout(bodies::BACKUP_TIME, receive).await {
        Ok(received) => received?,
        Err(_) => return Err(bodies::too_slow(bodies::BACKUP_TIME)),
    }
    drop(file);
    Ok(run(service, move |service| {
        service.restore(&aside, query, &caller)
    })
    .await)
}

async fn ruleset(State(service): Shared, Query(query): Query<RulesetQuery>) -> impl IntoResponse {
    run(service, move |service| service.ruleset(query.which)).await
}

async fn counters(State(service): Shared) -> impl IntoResponse {
    answer(service, |service, room| service.counters(room)).await
}

async fn check(State(service): Shared, body: Bytes) -> impl IntoResponse {
    answer(service, move |service, room| {
        service.answer_check(body, room)
    })
    .await
}

async fn no_such_route(request: Request) -> Failure {
    let message = format!("no route {} {}", request.method(), request.uri().path());
    Failure(ApiError::new(ErrorKind::NotFound, message).with_hint("docs/api.md lists the routes"))
}

/// Gives what axum itself refuses (an unreadable query or path) the form that every
/// other error has.
async fn errors_as_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !(status.is_client_error() || status.is_server_error()) || is_json {
        return response;
    }
    let kind = if status.is_server_error() {
        ErrorKind::Failed
    } else {
        ErrorKind::Invalid
    };
    let message = format!("the request was refused: {status}");
    Failure(ApiError::new(kind, message)).into_response()
}
