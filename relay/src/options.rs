//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Parser;
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

use crate::limits::Limits;

/// Relay of beaker-peersockets: pages that share a drive meet here.
///
/// It passes sealed bytes on between the members of a room. It knows rooms by an id from which no drive key can be
/// computed, and sees no key, no topic and no message.
#[derive(Clone, Debug, Parser)]
#[command(name = "peersockets-relay", version)]
#[non_exhaustive]
pub struct Options {
    /// Address and port to listen on. Port 0 takes any free one; the first line on stdout names it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787", value_parser = listen_address)]
    pub listen: SocketAddr,

    /// Directory served at `/` [default: ./www if it exists]
    #[arg(long, value_name = "DIR")]
    pub www: Option<PathBuf>,

    /// Directory served at `/pkg/` [default: ./pkg if it exists]
    #[arg(long, value_name = "DIR")]
    pub pkg: Option<PathBuf>,

    /// Network of a reverse proxy whose `x-forwarded-for` is believed, such as 10.0.0.0/8. May be repeated.
    #[arg(long, value_name = "CIDR")]
    pub trusted_proxy: Vec<IpNet>,

    /// What is logged to stderr: off, error, warn, info, debug or trace. No level logs messages or whole ids.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: LevelFilter,

    /// The limits.
    #[command(flatten)]
    pub limits: Limits,
}

impl Options {
    /// The directory for `/`: what was given, or `./www` if it exists.
    pub fn www_directory(&self) -> Option<PathBuf> {
        given_or_present(&self.www, "www")
    }

    /// The directory for `/pkg/`: what was given, or `./pkg` if it exists.
    pub fn pkg_directory(&self) -> Option<PathBuf> {
        given_or_present(&self.pkg, "pkg")
    }
}

fn given_or_present(given: &Option<PathBuf>, default: &str) -> Option<PathBuf> {
    given.clone().or_else(|| Path::new(default).is_dir().then(|| default.into()))
}

/// An IP address and a port. `localhost` is the one name that needs no question to the network.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| {
        let port: u16 = text.trim_start_matches(':').parse().unwrap_or(8787);
        format!("expected an IP address and a port, such as 127.0.0.1:{port}, or 0.0.0.0:{port} for other devices too")
    })
}
