//! HTTP on one connection, until it ends or becomes a WebSocket.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until};
use tower::ServiceExt;
use tracing::debug;

use crate::admission::Place;
use crate::limits::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS, HTTP_HEAD, HTTP_HEAD_TIME, HTTP_LIFE};
use crate::metrics::Metrics;
use crate::upgrade::{Peer, about_relay};

/// What is answered once even where too many connections are served: a relay that is busy is well.
const PROBES: [&str; 2] = ["/health", "/ready"];

/// What one connection is served with.
#[derive(Debug)]
pub struct Http {
    /// Who is there.
    pub peer: Peer,
    /// What answers.
    pub router: Router,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Until when it has to have asked for something.
    pub deadline: Instant,
}

impl Http {
    /// Answers requests on `stream`, whose TLS handshake, if there was one, took its part of the time.
    pub async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { peer, router, metrics, deadline } = self;
        let place = peer.place.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            let place = peer.place.clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            async move {
                let is_probe = PROBES.contains(&request.uri().path());
                let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                Ok::<_, Infallible>(match is_upgrade || place.serve_http() {
                    true => response,
                    false if is_probe => ([(header::CONNECTION, "close")], response).into_response(),
                    false => http_is_full(),
                })
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_HEAD_TIME)
            .max_buf_size(HTTP_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        let life = sleep(HTTP_LIFE);
        let ended = tokio::select! {
            // First: hyper's own time for the first head ends in the same moment.
            biased;
            () = is_late(&place, deadline) => {
                metrics.late_newcomers.inc();
                return;
            }
            ended = connection.as_mut() => ended,
            () = life => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "an HTTP connection failed");
        }
    }
}

/// Returns at the deadline if nothing was asked for until then.
async fn is_late(place: &Place, deadline: Instant) {
    sleep_until(deadline).await;
    if !place.is_newcomer() {
        pending().await
    }
}

fn http_is_full() -> Response {
    let headers = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "10")];
    let text = format!(
        "This relay is busy: it serves {HTTP_CONNECTIONS} connections over HTTP, \
         {HTTP_CONNECTIONS_PER_ADDRESS} of one address.\n"
    );
    (StatusCode::SERVICE_UNAVAILABLE, about_relay(), headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use axum::routing::get;
    use clap::Parser;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::admission::Admission;
    use crate::limits::NEWCOMER_TIME;
    use crate::options::Options;

    /// Bytes that no buffer on the way takes in.
    const LARGE: usize = 200 * 1024;

    /// A connection that is served, and the counters.
    fn connect(time_left: Duration) -> (DuplexStream, Arc<Metrics>) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let metrics = Arc::new(Metrics::default());
        let door = Admission::new(Options::parse_from(["relay"]).limits, metrics.closed_at_the_door.clone());
        let place = Arc::new(door.connect(address.ip().into(), false).expect("a place"));
        let http = Http {
            peer: Peer { address, place },
            router: Router::new().route("/", get(async || "here")).route("/large", get(async || [b'.'; LARGE])),
            metrics: metrics.clone(),
            deadline: Instant::now() + time_left,
        };
        let (ours, theirs) = duplex(64 * 1024);
        tokio::spawn(http.serve(ours));
        (theirs, metrics)
    }

    /// Asks for `path`, and returns the answer, which ends with "here".
    async fn ask(client: &mut DuplexStream, path: &str) -> String {
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: relay\r\n\r\n").as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            assert_ne!(client.read_buf(&mut answer).await.expect("an answer"), 0);
        }
        String::from_utf8(answer).expect("text")
    }

    async fn until_closed(client: &mut DuplexStream) -> Duration {
        let start = Instant::now();
        client.read_to_end(&mut Vec::new()).await.expect("a good end");
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_has_only_the_time_that_its_handshake_left() {
        for head in ["", "GET / HTTP/1.1\r\nhost: relay\r\n"] {
            for left in [NEWCOMER_TIME, Duration::from_secs(1)] {
                let (mut client, metrics) = connect(left);
                client.write_all(head.as_bytes()).await.expect("sent");
                let time = until_closed(&mut client).await;
                assert!((left..left + Duration::from_millis(10)).contains(&time), "{time:?} of {left:?}");
                assert_eq!(metrics.late_newcomers.get(), 1);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_for_something_may_ask_again_later() {
        let (mut client, metrics) = connect(Duration::from_secs(1));
        for _ in 0..3 {
            ask(&mut client, "/").await;
            sleep(Duration::from_secs(4)).await;
        }
        assert!((Duration::from_millis(900)..Duration::from_millis(1_100)).contains(&until_closed(&mut client).await));
        assert_eq!(metrics.late_newcomers.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_again_and_again_has_to_come_anew_after_a_minute() {
        let (mut client, _) = connect(NEWCOMER_TIME);
        let start = Instant::now();
        while start.elapsed() < HTTP_LIFE {
            ask(&mut client, "/").await;
            sleep(Duration::from_secs(3)).await;
        }
        until_closed(&mut client).await;
        assert!((HTTP_LIFE..HTTP_LIFE + Duration::from_millis(10)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_longer_comes_whole() {
        let (mut client, _) = connect(NEWCOMER_TIME);
        client.write_all(b"GET /large HTTP/1.1\r\nhost: relay\r\n\r\n").await.expect("sent");
        let mut answer = Vec::new();
        client.read_buf(&mut answer).await.expect("the beginning");
        sleep(2 * HTTP_LIFE).await;
        client.read_to_end(&mut answer).await.expect("the rest and the end");
        assert!(answer.len() > LARGE && answer.ends_with(b"..."), "{} bytes", answer.len());
    }
}
