//! Authorisation: compares the right that a route needs with that of the principal.

use axum::{
    Extension,
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use ipblock_api::routes::{Right, Route};

use super::{caller::Caller, error::ErrorAnswer, principal::Principal};

/// Returns the right that a request needs. Without a route it depends on the method, so that a peer
/// without the right does not learn which routes exist.
fn needed(route: Option<Route>, method: &Method) -> Right {
    match route {
        Some(route) => route.right(),
        None if matches!(*method, Method::GET | Method::HEAD) => Right::View,
        None => Right::Change,
    }
}

/// Passes on the requests that the principal may make; handlers get the [`Caller`].
pub(super) async fn authorise(
    State(route): State<Option<Route>>,
    Extension(principal): Extension<Principal>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match principal.require(needed(route, request.method())) {
        Ok(()) => Caller::of(&principal, request.headers()).await,
        Err(error) => Err(error),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => ErrorAnswer(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_no_route_needs_what_its_method_says() {
        for (method, right) in [
            (Method::GET, Right::View),
            (Method::HEAD, Right::View),
            (Method::POST, Right::Change),
            (Method::DELETE, Right::Change),
            (Method::PUT, Right::Change),
        ] {
            assert_eq!(needed(None, &method), right, "{method}");
        }
    }

    #[test]
    fn a_request_to_a_route_needs_the_routes_right() {
        assert_eq!(needed(Some(Route::Check), &Method::POST), Right::View);
        assert_eq!(needed(Some(Route::Backup), &Method::GET), Right::Change);
        assert_eq!(needed(Some(Route::Backup), &Method::HEAD), Right::Change);
    }
}
