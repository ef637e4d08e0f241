//! TLS: the certificate and its key, which may be replaced while the relay runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use clap::Args;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto};

/// Where the certificate is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "TLS")]
#[non_exhaustive]
pub struct TlsOptions {
    /// Certificate in PEM, followed by those that signed it, for https:// and wss:// without a proxy. SIGHUP reads it anew;
    /// if it can't be used, the old one stays.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

/// What makes a TCP connection one with TLS.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Why a certificate or its key can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read, or is no PEM.
    #[error("{}: {error}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{}: there is no certificate in it", _0.display())]
    NoCertificate(PathBuf),
    /// They do not fit, or are of a kind that is not known.
    #[error("{} and {}: {error}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of its key.
        key: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
}

impl Tls {
    /// Reads both files; nothing where none are named.
    pub fn load(options: &TlsOptions) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (options.tls_cert.clone(), options.tls_key.clone()) else {
            return Ok(None);
        };
        let files = Files { certificate, key };
        let config = RwLock::new(files.read()?);
        Ok(Some(Self { files, config }))
    }

    /// Reads both files again, for connections to come. After an error all is as before.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = self.files.read()?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Accepts connections with the present certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }
}

impl Files {
    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let Self { certificate, key } = self;
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| pem_error(certificate, error))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.clone()));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| pem_error(key, error))?;
        let unusable = |error| TlsError::Unusable { certificate: certificate.clone(), key: key.clone(), error };
        let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn pem_error(path: &Path, error: pem::Error) -> TlsError {
    match error {
        // Its own text is the system's with a name of a Rust type in front.
        pem::Error::Io(error) => TlsError::Pem { path: path.into(), error: pem::Error::Io(io::Error::other(error)) },
        error => TlsError::Pem { path: path.into(), error },
    }
}
