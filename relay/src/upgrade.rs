//! `/relay`: from an HTTP request to a WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use peersockets_core::rendezvous::{HTTP_HEADER, SUBPROTOCOL};
use tracing::debug;
use tungstenite::handshake::derive_accept_key;

use crate::access::{Denied, Pass};
use crate::address::{ClientAddress, FORWARDED_FOR, is_trusted};
use crate::admission::Place;
use crate::connection::Connection;
use crate::relay::Relay;
use crate::rooms::Rooms;
use crate::stream::Stream;

/// The TCP connection that a request came over.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Its place at the door.
    pub place: Arc<Place>,
}

/// Answers a request to `/relay`.
pub async fn upgrade<R: Rooms>(State(relay): State<Arc<Relay<R>>>, mut request: Request) -> Response {
    let accept = match accept_key(request.method(), request.headers()) {
        Ok(accept) => accept,
        Err(error) => return (about_relay(), error).into_response(),
    };
    if relay.draining.is_cancelled() {
        return (about_relay(), Away(relay.limits.back_in)).into_response();
    }
    let pass = relay.access.admit(request.uri(), request.headers(), SystemTime::now());
    let extensions = request.extensions_mut();
    let (Some(upgrade), Some(peer)) = (extensions.remove::<OnUpgrade>(), extensions.remove::<Peer>()) else {
        return (about_relay(), UpgradeError::NotAWebSocket).into_response();
    };
    let address = peer.address.ip();
    if request.headers().contains_key(FORWARDED_FOR) && !is_trusted(address, &relay.trusted_proxies) {
        relay.ignore_forward(address.into());
    }
    let client = ClientAddress::of(address, request.headers(), &relay.trusted_proxies);
    relay.sockets.spawn(serve(relay.clone(), upgrade, peer, client, pass));
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Waits for the upgrade, then serves or refuses the client. A refusal comes after the upgrade: only then can a page see it.
async fn serve<R: Rooms>(
    relay: Arc<Relay<R>>,
    upgrade: OnUpgrade,
    peer: Peer,
    client: ClientAddress,
    pass: Result<Pass, Denied>,
) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return debug!(%client, %error, "an upgrade failed"),
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { return };
    let admitted = match pass {
        Ok(pass) => peer.place.upgrade(client).map(|()| pass),
        Err(denied) => Err(peer.place.turn_away(client).err().unwrap_or_else(|| denied.into())),
    };
    let connection = Connection::new(relay.clone(), client, parts.io.into_inner(), parts.read_buf);
    match admitted {
        Ok(pass) => {
            relay.metrics.sockets_opened.inc();
            connection.serve(pass).await;
        }
        Err(refusal) => tokio::select! {
            () = connection.refuse(refusal) => {}
            () = peer.place.lost() => {}
        },
    }
    // The place is free once the connection is gone.
    drop(peer);
}

/// Why a request is not upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UpgradeError {
    NotAWebSocket,
    Version,
    Key,
    Subprotocol,
}

/// The value of `sec-websocket-accept`, if the request may be upgraded.
fn accept_key(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, UpgradeError> {
    let is_upgrade =
        has_token(headers, header::CONNECTION, "upgrade") && has_token(headers, header::UPGRADE, "websocket");
    if method != Method::GET || !is_upgrade {
        return Err(UpgradeError::NotAWebSocket);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(UpgradeError::Version);
    }
    // 16 bytes in base64.
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24).ok_or(UpgradeError::Key)?;
    if !has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(UpgradeError::Subprotocol);
    }
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| UpgradeError::Key)
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|present| present.trim().eq_ignore_ascii_case(token))
}

/// Headers by which a page of any origin recognises the relay.
pub fn about_relay() -> [(HeaderName, HeaderValue); 3] {
    [
        (HeaderName::from_static(HTTP_HEADER), HeaderValue::from_static("v1")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(HTTP_HEADER)),
    ]
}

/// The relay is being stopped, and is back after this time.
pub struct Away(pub Duration);

impl IntoResponse for Away {
    fn into_response(self) -> Response {
        let seconds = self.0.as_secs_f64().ceil();
        let headers = [(header::RETRY_AFTER, seconds.to_string()), (header::CONNECTION, "close".to_owned())];
        let text = format!("This relay is shutting down. Try again in {seconds} s.\n");
        (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
    }
}

impl IntoResponse for UpgradeError {
    fn into_response(self) -> Response {
        let must_upgrade = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
        match self {
            Self::NotAWebSocket => {
                let text = format!(
                    "This is a peersockets relay: open it as a WebSocket with the subprotocol {SUBPROTOCOL}.\n"
                );
                (StatusCode::UPGRADE_REQUIRED, must_upgrade, text).into_response()
            }
            Self::Version => {
                let text = "This relay speaks version 13 of the WebSocket protocol (RFC 6455).\n";
                (StatusCode::UPGRADE_REQUIRED, must_upgrade, text).into_response()
            }
            Self::Key => {
                (StatusCode::BAD_REQUEST, "The header sec-websocket-key is missing or no 16 bytes in base64.\n")
                    .into_response()
            }
            Self::Subprotocol => {
                let text = format!("The client did not ask for the WebSocket subprotocol {SUBPROTOCOL}.\n");
                (StatusCode::BAD_REQUEST, text).into_response()
            }
        }
    }
}
