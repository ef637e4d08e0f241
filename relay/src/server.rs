//! The listening socket: takes connections in and hands them to HTTP.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use futures_util::future::Either;
use peersockets_core::limits::ICE_SERVERS;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use crate::access::Access;
use crate::address::{ClientAddress, is_trusted};
use crate::admin::Admin;
use crate::http::Http;
use crate::ice::IceServers;
use crate::limits::{ACCEPT_PAUSE, BACKLOG, NEWCOMER_TIME, SEND_BUFFER, SHUTDOWN_TIME};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::relay::Relay;
use crate::reload::Reload;
use crate::rooms::{LocalRooms, Rooms};
use crate::routes::{admin_routes, routes};
use crate::secret::UnusableSecret;
use crate::stream::Stream;
use crate::tls::{Tls, TlsError};
use crate::traffic::Counted;
use crate::upgrade::Peer;

/// A relay that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    relay: Arc<Relay<LocalRooms>>,
    router: Router,
    tls: Option<Arc<Tls>>,
    admin: Option<Admin>,
    ice_servers: Arc<IceServers>,
}

/// Why a relay can't start, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another program has the port.
    #[error(
        "cannot listen on {0}: another program listens there. Stop it, or take any free port with --port 0 (npm start -- --port 0)"
    )]
    PortInUse(SocketAddr),
    /// The system does not let us listen.
    #[error("cannot listen on {address}: {error}. Give another address with --listen ADDRESS:PORT")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The system does not let us listen for the operator.
    #[error("cannot listen on {address}: {error}. Give another address with --admin-listen ADDRESS:PORT")]
    ListenForOperator {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// A directory that was given does not exist.
    #[error("{option} {}: there is no such directory", path.display())]
    NoDirectory {
        /// The option.
        option: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// A secret in a file can't be used.
    #[error(transparent)]
    Secret(#[from] UnusableSecret),
    /// TLS can't be used.
    #[error("--tls-cert, --tls-key: {0}")]
    Tls(#[from] TlsError),
    /// Who answers every ping would be taken for dead.
    #[error(
        "--dead-after has to be longer than --ping-interval: a client that is well may be silent until it is pinged"
    )]
    DeadBeforePing,
    /// More servers than pages take.
    #[error("--stun and --turn name {0} servers, and pages take {ICE_SERVERS}: leave some out, for a few are as good")]
    TooManyIceServers(usize),
    /// Clients and operator can't share an address.
    #[error("--listen and --admin-listen are both {0}: give the operator another port")]
    SameAddress(SocketAddr),
    /// Others could reach it, and nobody has said that they may.
    #[error(
        "{0} opens this relay to others: say who may use it, with --allow-origin ORIGIN (pages of your site), \
         --auth-token TOKEN or --auth-token-file FILE (who has the token), --room-secret SECRET or --room-secret-file FILE \
         (who has a token that is signed with it) or --public (everybody)"
    )]
    Open(String),
}

impl Server {
    /// Listens as `options` say.
    pub async fn bind(options: &Options) -> Result<Self, StartError> {
        let Parts { access, tls, ice_servers } = Parts::of(options)?;
        let listener = listen(options.address())?;
        let admin = options.admin_listen.map(listen_for_operator).transpose()?;
        let metrics = Arc::new(Metrics::default());
        let rooms = LocalRooms::new(options.limits.clone(), ice_servers.clone(), metrics.clone());
        let relay = Relay::new(options.limits.clone(), access, options.trusted_proxy.clone(), rooms, metrics);
        let router = routes(relay.clone(), options.www.clone(), options.pkg.clone());
        let admin = admin.map(|listener| Admin::new(listener, admin_routes(relay.clone())));
        Ok(Self { listener, relay, router, tls: tls.map(Arc::new), admin, ice_servers })
    }

    /// Whether it could start with `options`, but for the ports.
    pub fn check(options: &Options) -> Result<(), StartError> {
        Parts::of(options).map(drop)
    }

    /// Whether clients speak TLS to it.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What can be read anew while it runs.
    pub fn reload(&self) -> Reload {
        Reload::new(self.tls.clone(), self.ice_servers.clone(), self.relay.clone())
    }

    /// The operator's own address.
    pub fn admin_address(&self) -> io::Result<Option<SocketAddr>> {
        self.admin.as_ref().map(Admin::address).transpose()
    }

    /// The address it listens on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then sends every client away; meanwhile it still answers HTTP.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = self.accept() => {}
            () = self.serve_operator() => {}
            () = self.announce() => {}
            () = shutdown => {}
        }
        self.relay.drain();
        tokio::select! {
            () = self.accept() => {}
            () = self.serve_operator() => {}
            _ = timeout(SHUTDOWN_TIME, self.relay.sockets.wait()) => {}
        }
        self.relay.shutdown.cancel();
    }

    async fn accept(&self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => self.take_in(stream, address),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve_operator(&self) {
        match &self.admin {
            Some(admin) => admin.run().await,
            None => std::future::pending().await,
        }
    }

    /// Tells clients of servers for direct connections, each time before what they know of them expires.
    async fn announce(&self) {
        loop {
            self.ice_servers.renewal().await;
            self.relay.rooms.announce().await;
        }
    }

    fn take_in(&self, stream: TcpStream, address: SocketAddr) {
        let client = ClientAddress::from(address.ip());
        let is_proxy = is_trusted(address.ip(), &self.relay.trusted_proxies);
        let Some(place) = self.relay.admission.connect(client, is_proxy).map(Arc::new) else {
            return debug!(%client, "a connection too many was closed");
        };
        // Frames are gathered before they are written; the system must not hold them back again.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let stream = Counted::new(stream);
        let traffic = stream.traffic();
        let shutdown = self.relay.shutdown.clone();
        let write_timeout = self.relay.limits.write_timeout;
        let http = Http {
            peer: Peer { address, place: place.clone() },
            router: self.router.clone(),
            metrics: self.relay.metrics.clone(),
            deadline: Instant::now() + NEWCOMER_TIME,
        };
        let tls = self.tls.clone();
        tokio::spawn(async move {
            // What only TLS needs is on the heap, so that other connections do not hold the room for it.
            let serving = match tls {
                None => Either::Left(http.serve(Stream::Plain(stream))),
                Some(tls) => Either::Right(Box::pin(serve_https(stream, tls, http))),
            };
            tokio::select! {
                () = serving => {}
                () = place.lost() => debug!(%client, "the oldest of too many newcomers was closed"),
                () = traffic.write_stall(write_timeout) => debug!(%client, "an HTTP client took too little"),
                () = shutdown.cancelled() => {}
            }
        });
    }
}

/// What has to be read and checked before the relay listens.
struct Parts {
    access: Access,
    tls: Option<Tls>,
    ice_servers: Arc<IceServers>,
}

impl Parts {
    fn of(options: &Options) -> Result<Self, StartError> {
        check_directory("--www", &options.www)?;
        check_directory("--pkg", &options.pkg)?;
        if options.limits.dead_after <= options.limits.ping_interval {
            return Err(StartError::DeadBeforePing);
        }
        let address = options.address();
        if address.port() != 0 && options.admin_listen == Some(address) {
            return Err(StartError::SameAddress(address));
        }
        if options.ice.count() > ICE_SERVERS {
            return Err(StartError::TooManyIceServers(options.ice.count()));
        }
        let ice_servers = IceServers::new(&options.ice)?.into();
        Ok(Self { access: check_access(options)?, tls: Tls::load(&options.tls)?, ice_servers })
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse(address),
        _ => StartError::Listen { address, error },
    })
}

fn listen_for_operator(address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| StartError::ListenForOperator { address, error })
}

/// Listens with a [`SEND_BUFFER`] that accepted sockets inherit.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves a connection after its TLS handshake.
async fn serve_https(stream: Counted<TcpStream>, tls: Arc<Tls>, http: Http) {
    match timeout_at(http.deadline, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => http.serve(Stream::Tls(Box::new(stream))).await,
        failed => {
            http.metrics.tls_failures.inc();
            let error = failed.ok().and_then(Result::err);
            debug!(?error, "a TLS handshake failed");
        }
    }
}

/// Who may use the relay: beyond loopback that has to be said, and behind a proxy, which is there for others to come.
fn check_access(options: &Options) -> Result<Access, StartError> {
    let address = options.address();
    let is_said = options.access.public || options.access.is_restricted();
    if !is_said && !address.ip().to_canonical().is_loopback() {
        return Err(StartError::Open(format!("listening on {address}")));
    }
    if !is_said && !options.trusted_proxy.is_empty() {
        return Err(StartError::Open("--trusted-proxy".to_owned()));
    }
    Ok(Access::new(&options.access)?)
}

fn check_directory(option: &'static str, given: &Option<PathBuf>) -> Result<(), StartError> {
    match given {
        Some(path) if !path.is_dir() => Err(StartError::NoDirectory { option, path: path.clone() }),
        _ => Ok(()),
    }
}
