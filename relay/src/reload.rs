//! What is read anew while the relay runs: its certificate, and secrets in files.

use std::sync::Arc;

use tracing::{error, info};

use crate::ice::IceServers;
use crate::relay::Relay;
use crate::rooms::LocalRooms;
use crate::tls::Tls;

/// The files of a relay that may change.
#[derive(Debug)]
pub struct Reload {
    tls: Option<Arc<Tls>>,
    ice_servers: Arc<IceServers>,
    relay: Arc<Relay<LocalRooms>>,
}

impl Reload {
    /// Those of `tls`, of `ice_servers` and of the access to `relay`.
    pub fn new(tls: Option<Arc<Tls>>, ice_servers: Arc<IceServers>, relay: Arc<Relay<LocalRooms>>) -> Self {
        Self { tls, ice_servers, relay }
    }

    /// Reads all of them, and logs what came of it. What can't be used leaves the old one in place.
    pub fn now(&self) {
        let certificate = self.tls.as_ref().map(|tls| tls.reload());
        match &certificate {
            Some(Ok(())) => info!("SIGHUP: new connections get the new certificate"),
            Some(Err(error)) => error!(%error, "SIGHUP: the old certificate stays"),
            None => {}
        }
        let turn = self.ice_servers.reload();
        match &turn {
            Ok(true) => info!("SIGHUP: all clients get credentials of the new TURN secret"),
            Err(error) => error!(%error, "SIGHUP: the old TURN secret stays"),
            Ok(false) => {}
        }
        match self.relay.access.reload() {
            Ok(true) => info!("SIGHUP: new connections need the new secrets"),
            Err(error) => error!(%error, "SIGHUP: the old secrets stay"),
            Ok(false) if certificate.is_none() && matches!(turn, Ok(false)) => {
                info!(
                    "SIGHUP: nothing to read anew: that are --tls-cert, --tls-key, --auth-token-file, --room-secret-file and \
                     --turn-secret"
                );
            }
            Ok(false) => {}
        }
    }
}
