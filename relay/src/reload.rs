//! What is read anew while the relay runs: its certificate, and secrets in files.

use std::sync::Arc;

use tracing::{error, info};

use crate::relay::Relay;
use crate::rooms::LocalRooms;
use crate::tls::Tls;

/// The files of a relay that may change.
#[derive(Debug)]
pub struct Reload {
    tls: Option<Arc<Tls>>,
    relay: Arc<Relay<LocalRooms>>,
}

impl Reload {
    /// Those of `tls` and of the access to `relay`.
    pub fn new(tls: Option<Arc<Tls>>, relay: Arc<Relay<LocalRooms>>) -> Self {
        Self { tls, relay }
    }

    /// Reads all of them, for connections to come, and logs what came of it. What can't be used leaves the old one in place.
    pub fn now(&self) {
        let certificate = self.tls.as_ref().map(|tls| tls.reload());
        match &certificate {
            Some(Ok(())) => info!("SIGHUP: new connections get the new certificate"),
            Some(Err(error)) => error!(%error, "SIGHUP: the old certificate stays"),
            None => {}
        }
        match self.relay.access.reload() {
            Ok(true) => info!("SIGHUP: new connections need the new secrets"),
            Err(error) => error!(%error, "SIGHUP: the old secrets stay"),
            Ok(false) if certificate.is_none() => {
                info!(
                    "SIGHUP: nothing to read anew: that are --tls-cert, --tls-key, --auth-token-file and --room-secret-file"
                );
            }
            Ok(false) => {}
        }
    }
}
