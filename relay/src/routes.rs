//! What the relay serves over HTTP.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use peersockets_core::rendezvous::SUBPROTOCOL;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::metrics;
use crate::relay::Relay;
use crate::rooms::Rooms;
use crate::upgrade::upgrade;

/// All routes. A directory that is not given answers 404.
pub fn routes<R: Rooms>(relay: Arc<Relay<R>>, www: Option<PathBuf>, pkg: Option<PathBuf>) -> Router {
    let mut files = Router::new();
    if let Some(directory) = pkg {
        // A page of another origin may load the package from here, its wasm included.
        let package = Router::new().fallback_service(ServeDir::new(directory)).layer(set(ANYONE.0, ANYONE.1));
        files = files.nest("/pkg", package);
    }
    files = match www {
        Some(directory) => files.fallback_service(ServeDir::new(directory)),
        None => files.fallback(no_page),
    };
    // A new build is seen at the next reload; files that did not change are answered by 304.
    files = files.layer(set(header::CACHE_CONTROL, "no-cache")).layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Router::new()
        .route("/relay", any(upgrade::<R>))
        .route("/health", get(health::<R>))
        .route("/metrics", get(metrics::<R>))
        .with_state(relay)
        .merge(files)
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

async fn metrics<R: Rooms>(State(relay): State<Arc<Relay<R>>>) -> impl IntoResponse {
    let text = relay.metrics.render(relay.admission.sockets(), relay.rooms.census(), relay.limits.queue);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

async fn no_page() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "There is no page here: this relay was started without --www.\n")
}
