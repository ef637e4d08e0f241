//! What is for the operator alone: metrics, on an address of their own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::limits::{ACCEPT_PAUSE, ADMIN_CONNECTIONS, HTTP_HEAD, HTTP_HEAD_TIME, HTTP_LIFE};

/// The operator's listening socket.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    router: Router,
}

impl Admin {
    /// Serves `router` on `listener`.
    pub fn new(listener: TcpListener, router: Router) -> Self {
        Self { listener, router }
    }

    /// The address it listens on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub async fn run(&self) {
        let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
        loop {
            // A place first: what is too much waits in the system's queue.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection of the operator");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let router = self.router.clone();
            tokio::spawn(async move {
                let service =
                    service_fn(move |request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HTTP_HEAD_TIME)
                    .max_buf_size(HTTP_HEAD)
                    .serve_connection(TokioIo::new(stream), service);
                if let Ok(Err(error)) = timeout(HTTP_LIFE, connection).await {
                    debug!(%error, "a connection of the operator failed");
                }
                drop(place);
            });
        }
    }
}
