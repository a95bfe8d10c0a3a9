//! The routes of `/v1`: JSON in, a method of the service on a blocking thread, JSON out.
//!
//! docs/api.md documents the same routes.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{error::Failure, peer, state::Service};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{RuleText, RulesetQuery},
    },
    store::Author,
};

/// Largest request body: a ruleset file of some two million entries.
const MAX_BODY: usize = 64 << 20;

type Answer<T> = Result<Json<T>, Failure>;
type Shared = State<Arc<Service>>;

/// Every route, for root alone.
pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/interfaces", post(attach))
        .route("/v1/interfaces/{name}", delete(detach))
        .route("/v1/zones", get(zones))
        .route("/v1/rules", get(rules))
        .route("/v1/rules/{name}", get(rule))
        .route("/v1/rules/{name}/toml", get(rule_text))
        .route("/v1/allow", get(allow))
        .route("/v1/bans", get(bans).post(ban))
        .route("/v1/unban", post(unban))
        .route("/v1/staged/edits", post(stage))
        .route("/v1/staged", delete(discard))
        .route("/v1/diff", get(diff))
        .route("/v1/deploy", post(deploy))
        .route("/v1/apply", post(apply))
        .route("/v1/ruleset", get(ruleset))
        .route("/v1/counters", get(counters))
        .route("/v1/check", post(check))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_route)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(errors_as_json))
        .layer(middleware::from_fn(peer::authorise))
        .with_state(service)
}

/// Runs a method of the service where it may block.
async fn run<T: Serialize + Send + 'static>(
    service: Arc<Service>,
    method: impl FnOnce(&Service) -> Result<T, ApiError> + Send + 'static,
) -> Answer<T> {
    match tokio::task::spawn_blocking(move || method(&service)).await {
        Ok(Ok(answer)) => Ok(Json(answer)),
        Ok(Err(error)) => Err(Failure(error)),
        Err(panic) => Err(Failure(
            ApiError::new(ErrorKind::Failed, format!("the request failed: {panic}"))
                .with_hint("this is a bug in ipblockd; its log tells more"),
        )),
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure(ApiError::new(
            ErrorKind::Invalid,
            format!("request body: {error}"),
        ))
    })
}

async fn status(State(service): Shared) -> impl IntoResponse {
    run(service, Service::status).await
}

async fn attach(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.attach(&request, &author)).await)
}

async fn detach(
    State(service): Shared,
    Extension(author): Extension<Author>,
    Path(name): Path<String>,
) -> impl IntoResponse {
    run(service, move |service| service.detach(&name, &author)).await
}

async fn zones(State(service): Shared) -> impl IntoResponse {
    run(service, |service| Ok(service.zones())).await
}

async fn rules(State(service): Shared) -> impl IntoResponse {
    run(service, Service::rules).await
}

async fn rule(State(service): Shared, Path(name): Path<String>) -> impl IntoResponse {
    run(service, move |service| service.rule(&name)).await
}

async fn rule_text(State(service): Shared, Path(name): Path<String>) -> impl IntoResponse {
    run(service, move |service| {
        let toml = service.rule_text(&name)?;
        Ok(RuleText { toml })
    })
    .await
}

async fn allow(State(service): Shared) -> impl IntoResponse {
    run(service, |service| Ok(service.allow())).await
}

async fn bans(State(service): Shared) -> impl IntoResponse {
    run(service, |service| Ok(service.list_bans())).await
}

async fn ban(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.ban(&request, &author)).await)
}

async fn unban(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.unban(&request, &author)).await)
}

async fn stage(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.stage(&request, &author)).await)
}

async fn discard(
    State(service): Shared,
    Extension(author): Extension<Author>,
) -> impl IntoResponse {
    run(service, move |service| service.discard(&author)).await
}

async fn diff(State(service): Shared) -> impl IntoResponse {
    run(service, Service::diff).await
}

async fn deploy(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.deploy(&request, &author)).await)
}

async fn apply(
    State(service): Shared,
    Extension(author): Extension<Author>,
    body: Bytes,
) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.apply(&request, &author)).await)
}

async fn ruleset(State(service): Shared, Query(query): Query<RulesetQuery>) -> impl IntoResponse {
    run(service, move |service| Ok(service.ruleset(query.which))).await
}

async fn counters(State(service): Shared) -> impl IntoResponse {
    run(service, Service::counters).await
}

async fn check(State(service): Shared, body: Bytes) -> Result<impl IntoResponse, Failure> {
    let request = parse(&body)?;
    Ok(run(service, move |service| service.check(&request)).await)
}

async fn no_such_route(request: Request) -> Failure {
    let message = format!("no route {} {}", request.method(), request.uri().path());
    Failure(ApiError::new(ErrorKind::NotFound, message).with_hint("docs/api.md lists the routes"))
}

/// Gives what axum itself refuses (too large a body, an unreadable query) the form that every
/// other error has.
async fn errors_as_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !(status.is_client_error() || status.is_server_error()) || is_json {
        return response;
    }
    let kind = if status.is_server_error() {
        ErrorKind::Failed
    } else {
        ErrorKind::Invalid
    };
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => format!("the request is larger than {MAX_BODY} bytes"),
        _ => format!("the request was refused: {status}"),
    };
    Failure(ApiError::new(kind, message)).into_response()
}
