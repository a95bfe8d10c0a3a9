//! The handler of each route: JSON in, a method of the service on a blocking thread, JSON out.
//!
//! `api::routes` declares the routes.

mod backup;

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State},
    handler::Handler,
    http::header::CONTENT_TYPE,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, any, on},
};
use ipblock_api::{
    error::{ApiError, ErrorKind},
    routes::{BodyKind, Method, Route},
    types::{AlertQuery, DetachQuery, DiffQuery, DiscardQuery, RulesetQuery},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    alerts::query,
    answers::{Refusal, answer, parse, run_blocking},
    authorise::authorise,
    bodies::{self, Bodies},
    caller::Caller,
    connections::Room,
    error::ErrorAnswer,
    metrics,
    state::Service,
};

type SharedService = State<Arc<Service>>;
type Handlers = MethodRouter<Arc<Service>>;

/// Returns every route, with authorisation of each request.
pub(super) fn router(service: Arc<Service>) -> Router {
    routes().with_state(service)
}

fn routes() -> Router<Arc<Service>> {
    let bodies = Bodies::new();
    let unknown = guarded(any(no_such_route), None, &bodies);
    let mut router = Router::new();
    for route in Route::ALL {
        let handler = guarded(handler(*route), Some(*route), &bodies);
        router = router.route(route.path(), handler);
    }
    router
        .fallback(unknown.clone())
        .method_not_allowed_fallback(unknown)
        // `bodies` has read it.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(errors_as_json))
}

/// Passes on only peers with the right that the route needs, and limits the bodies. Requests
/// without a route use this too.
fn guarded(handlers: Handlers, route: Option<Route>, bodies: &Bodies) -> Handlers {
    let bodies = bodies.clone();
    let bounded: Handlers = match route.map(Route::body) {
        Some(BodyKind::InParts) => {
            handlers.layer(middleware::from_fn_with_state(bodies, bodies::in_parts))
        }
        Some(BodyKind::Whole) | None => {
            handlers.layer(middleware::from_fn_with_state(bodies, bodies::whole))
        }
    };
    bounded.layer(middleware::from_fn_with_state(route, authorise))
}

/// Returns the handler of a route.
fn handler(route: Route) -> Handlers {
    match route {
        Route::Status => answers(route, |service, (), _| Ok(service.status()?)),
        Route::Attach => changes(route, Service::attach),
        Route::Detach => answers(
            route,
            |service,
             (Extension::<Caller>(caller), Path::<String>(name), Query::<DetachQuery>(query)),
             _| { Ok(service.detach(&name, query.moved, &caller.author)?) },
        ),
        Route::Zones => answers(route, |service, (), _| Ok(service.zones())),
        Route::Rules => answers(route, |service, Query(query), room| {
            service.rules(query, room)
        }),
        Route::Rule => answers(
            route,
            |service, (Path::<String>(name), Query(query)), room| service.rule(&name, query, room),
        ),
        Route::RuleText => answers(route, |service, Path::<String>(name), _| {
            Ok(service.rule_text(&name)?)
        }),
        Route::Allow => answers(route, |service, (), room| service.allow(room)),
        Route::Bans => answers(route, |service, Query(query), room| {
            service.list_bans(&query, room)
        }),
        Route::Ban => changes(route, Service::ban),
        Route::Unban => changes(route, |service, request, caller| {
            service.unban(request, &caller.author)
        }),
        Route::Exceptions => answers(route, |service, (), room| service.exceptions(room)),
        Route::Lists => answers(route, |service, (), _| Ok(service.lists())),
        Route::List => answers(route, |service, (Path::<String>(name), Query(query)), _| {
            Ok(service.list(&name, &query)?)
        }),
        Route::ReloadLists => changes(route, Service::reload_lists),
        Route::AcceptList => answers(
            route,
            |service, (Extension(caller), Path::<String>(name)), _| {
                Ok(service.accept_list(&name, &caller)?)
            },
        ),
        Route::Stage => changes(route, |service, request, caller| {
            service.stage(request, &caller.author)
        }),
        Route::Discard => answers(
            route,
            |service, (Extension::<Caller>(caller), Query::<DiscardQuery>(query)), _| {
                Ok(service.discard(&query, &caller.author)?)
            },
        ),
        Route::Diff => answers(
            route,
            |service, (Extension(caller), Query::<DiffQuery>(query)), room| {
                room.need(service.room_of_a_diff())?;
                Ok(match query.from {
                    None => service.diff(&caller)?,
                    Some(from) => service.diff_of_revisions(from, query.to)?,
                })
            },
        ),
        Route::Deploy => changes(route, Service::deploy),
        Route::Confirm => answers(route, |service, Extension::<Caller>(caller), _| {
            Ok(service.confirm(&caller.author)?)
        }),
        Route::Apply => changes(route, Service::apply),
        Route::History => answers(route, |service, (), room| service.history(room)),
        Route::Revision => answers(route, |service, Path::<String>(number), room| {
            room.need(service.room_of_a_diff())?;
            Ok(service.revision_info(&number)?)
        }),
        Route::Rollback => changes(route, Service::rollback),
        Route::Audit => answers(route, |service, Query(query), _| {
            Ok(service.audit_trail(&query)?)
        }),
        Route::Backup => handled_by(route, backup::back_up),
        Route::Restore => handled_by(route, backup::restore),
        Route::Ruleset => answers(route, |service, Query::<RulesetQuery>(query), _| {
            Ok(service.ruleset(query.which)?)
        }),
        Route::Counters => answers(route, |service, (), room| service.counters(room)),
        Route::Alerts => handled_by(route, alerts),
        Route::Top => answers(route, |service, Query(query), room| {
            service.top(&query, room)
        }),
        Route::Metrics => handled_by(route, metrics::on_socket),
        Route::Check => answers(route, |service, body, room| {
            service.answer_check(body, room)
        }),
    }
}

/// Answers with the result of a method of the service, which may block.
fn answers<I, M, T>(
    route: Route,
    method: impl FnOnce(&Arc<Service>, I, &mut Room) -> Result<T, Refusal>
    + Clone
    + Send
    + Sync
    + 'static,
) -> Handlers
where
    I: FromRequest<Arc<Service>, M> + Send + 'static,
    M: Send + 'static,
    T: Serialize + 'static,
{
    handled_by(route, move |State(service): SharedService, input: I| {
        answer(service, move |service: &Arc<Service>, room: &mut Room| {
            method(service, input, room)
        })
    })
}

/// Answers with the result of a method of the service for the body and the caller.
fn changes<R, T>(route: Route, method: fn(&Service, &R, &Caller) -> Result<T, ApiError>) -> Handlers
where
    R: DeserializeOwned + 'static,
    T: Serialize + 'static,
{
    answers(route, move |service, (Extension(caller), body), _| {
        Ok(method(service, &parse(body)?, &caller)?)
    })
}

fn handled_by<H, T>(route: Route, handler: H) -> Handlers
where
    H: Handler<T, Arc<Service>>,
    T: 'static,
{
    let filter = match route.method() {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Delete => MethodFilter::DELETE,
    };
    on(filter, handler)
}

async fn alerts(
    State(service): SharedService,
    Query(mut query): Query<AlertQuery>,
) -> Result<impl IntoResponse, ErrorAnswer> {
    let mut last = service.alerts.watch();
    let mut is_stopping = service.is_stopping.subscribe();
    let mut left = query::wait_of(&query);
    while !left.is_zero() {
        let started = Instant::now();
        let asked = (Arc::clone(&service), query.clone());
        let found = run_blocking(move || asked.0.has_alerts(&asked.1)).await?;
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

async fn no_such_route(request: Request) -> ErrorAnswer {
    let message = format!("no route {} {}", request.method(), request.uri().path());
    ErrorAnswer(
        ApiError::new(ErrorKind::NotFound, message).with_hint("docs/api.md lists the routes"),
    )
}

/// Converts axum's own errors (an unreadable query or path) to the form of all other errors.
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
    ErrorAnswer(ApiError::new(kind, message)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_have_the_same_method_and_path() {
        // The router panics if two routes overlap.
        let router = routes();
        assert!(router.has_routes());
    }
}
