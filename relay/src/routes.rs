//! What the relay serves over HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::HandlerWithoutStateExt;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use peersockets_core::rendezvous::SUBPROTOCOL;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::metrics;
use crate::relay::Relay;
use crate::rooms::Rooms;
use crate::upgrade::{Away, upgrade};

/// All routes. What is in no directory, or in none that was given, is answered with 404 and what to do.
pub fn routes<R: Rooms>(relay: Arc<Relay<R>>, www: Option<PathBuf>, pkg: Option<PathBuf>) -> Router {
    let mut files = Router::new();
    if let Some(directory) = pkg {
        // A page of another origin may load the package from here, its wasm included.
        let service = ServeDir::new(directory).not_found_service((async || NOT_IN_PACKAGE).into_service());
        files = files.nest("/pkg", Router::new().fallback_service(service).layer(set(ANYONE.0, ANYONE.1)));
    }
    files = match www {
        Some(directory) => {
            files.fallback_service(ServeDir::new(directory).not_found_service(not_in_page.into_service()))
        }
        None => files.fallback(no_page),
    };
    files = files.layer(from_fn(refuse_hidden));
    // A new build is seen at the next reload; files that did not change are answered by 304.
    files = files.layer(set(header::CACHE_CONTROL, "no-cache")).layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    let relay_routes = Router::new()
        .route("/relay", any(upgrade::<R>))
        .route("/health", get(health::<R>))
        .route("/ready", get(ready::<R>));
    relay_routes.with_state(relay).merge(files)
}

/// What is for the operator alone.
pub fn admin_routes<R: Rooms>(relay: Arc<Relay<R>>) -> Router {
    Router::new()
        .route("/ready", get(ready::<R>))
        .route("/metrics", get(metrics::<R>))
        .route("/health", get(health::<R>))
        .fallback(async || NO_ADMIN_PAGE)
        .with_state(relay)
}

const ANYONE: (HeaderName, &str) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");

fn set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

async fn health<R: Rooms>(State(relay): State<Arc<Relay<R>>>) -> impl IntoResponse {
    let version = env!("CARGO_PKG_VERSION");
    let connections = relay.admission.sockets();
    let json =
        format!(r#"{{"status":"ok","protocol":"{SUBPROTOCOL}","version":"{version}","connections":{connections}}}"#);
    ([ANYONE, (header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")], json)
}

/// Whether new clients are taken in: not while the relay is being stopped.
async fn ready<R: Rooms>(State(relay): State<Arc<Relay<R>>>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    if relay.draining.is_cancelled() {
        return (no_store, Away(relay.limits.back_in)).into_response();
    }
    (no_store, "ready\n").into_response()
}

async fn metrics<R: Rooms>(State(relay): State<Arc<Relay<R>>>) -> impl IntoResponse {
    let text = relay.metrics.render(&relay.admission, relay.rooms.census(), relay.limits.queue);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

/// A path that is not served, and why.
type NotFound = (StatusCode, &'static str);

const NOT_IN_PAGE: NotFound = (StatusCode::NOT_FOUND, "There is no such file in the directory of the page.\n");
const NOT_IN_PACKAGE: NotFound = (StatusCode::NOT_FOUND, "There is no such file in the package: see --pkg.\n");
const NO_PAGE: NotFound = (
    StatusCode::NOT_FOUND,
    "The relay runs, at /relay. There is no page here: to serve one, start the relay with --www DIR.\n",
);
const NO_PACKAGE: NotFound = (StatusCode::NOT_FOUND, "There is no package here: start the relay with --pkg DIR.\n");
const NO_ADMIN_PAGE: NotFound = (StatusCode::NOT_FOUND, "Here are /metrics, /ready and /health.\n");
const HIDDEN: NotFound = (StatusCode::NOT_FOUND, "Files whose names begin with a dot are not served.\n");

async fn not_in_page(request: Request) -> NotFound {
    if is_of_package(request.uri().path()) { NO_PACKAGE } else { NOT_IN_PAGE }
}

async fn no_page(request: Request) -> NotFound {
    if is_of_package(request.uri().path()) { NO_PACKAGE } else { NO_PAGE }
}

fn is_of_package(path: &str) -> bool {
    path == "/pkg" || path.starts_with("/pkg/")
}

/// A directory that someone serves may hold a `.git` or an `.env`.
async fn refuse_hidden(request: Request, next: Next) -> Response {
    if is_hidden(request.uri().path()) { HIDDEN.into_response() } else { next.run(request).await }
}

/// Whether a component of a path begins with a dot, once it is decoded as far as that matters.
fn is_hidden(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    path.split(['/', '\\']).any(|component| component.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderMap, request};
    use clap::Parser;
    use tower::ServiceExt;

    use super::*;
    use crate::access::Access;
    use crate::metrics::Metrics;
    use crate::options::Options;
    use crate::rooms::LocalRooms;

    async fn answer(relay: &Arc<Relay<LocalRooms>>, path: &str) -> (StatusCode, HeaderMap) {
        let mut request = request::Builder::new().uri(path);
        for (name, value) in [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("sec-websocket-protocol", SUBPROTOCOL),
        ] {
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = routes(relay.clone(), None, None).oneshot(request).await.expect("an answer");
        (response.status(), response.headers().clone())
    }

    #[tokio::test]
    async fn a_relay_that_is_being_stopped_is_not_ready_and_takes_no_more_clients() {
        let Options { limits, access, .. } = Options::parse_from(["relay", "--back-in=2.5"]);
        let access = Access::new(&access).expect("nothing is asked of anybody");
        let metrics = Arc::new(Metrics::default());
        let rooms = LocalRooms::new(limits.clone(), Arc::default(), metrics.clone());
        let relay = Relay::new(limits, access, Vec::new(), rooms, metrics);
        assert_eq!(answer(&relay, "/ready").await.0, StatusCode::OK);

        relay.drain();
        for path in ["/ready", "/relay"] {
            let (status, headers) = answer(&relay, path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(headers[header::RETRY_AFTER], "3", "{path}");
        }
        assert_eq!(answer(&relay, "/health").await.0, StatusCode::OK);
    }
}
