//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use ipnet::{IpNet, Ipv4Net};

use crate::access::AccessOptions;
use crate::ice::IceOptions;
use crate::limits::Limits;
use crate::log::LogOptions;
use crate::mint::Action;
use crate::tls::TlsOptions;

/// Bits before an IPv4 address that is written as one of IPv6.
const MAPPED: u8 = 96;

/// Relay of beaker-peersockets: pages that share a drive meet here.
///
/// It passes sealed bytes on between the members of a room. It knows rooms by an id from which no drive key can be
/// computed, and sees no key, no topic and no message.
#[derive(Clone, Debug, Parser)]
#[command(name = "peersockets-relay", version)]
#[non_exhaustive]
pub struct Program {
    /// How it serves.
    #[command(flatten)]
    pub options: Options,

    /// What it does instead.
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// How the relay serves.
#[derive(Clone, Debug, Parser)]
#[non_exhaustive]
pub struct Options {
    /// Address and port to listen on. Port 0 takes any free one; the first line on stdout names it. Beyond loopback it has
    /// to be said who may use the relay: --allow-origin, --auth-token, --room-secret or --public.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787", value_parser = listen_address)]
    pub listen: SocketAddr,

    /// Port to listen on, instead of the one in --listen.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Directory served at `/`. Symbolic links in it are followed, wherever they lead; names that begin with a dot are not
    /// served [default: none]
    #[arg(long, value_name = "DIR")]
    pub www: Option<PathBuf>,

    /// Directory served at `/pkg/`, to pages of any origin, in the same way [default: none]
    #[arg(long, value_name = "DIR")]
    pub pkg: Option<PathBuf>,

    /// Network of a reverse proxy whose `x-forwarded-for` is believed, such as 10.0.0.0/8 or 127.0.0.1/32. May be repeated. The
    /// client is the last address that is in none of them. From anyone else the header is ignored. As beyond
    /// loopback it has to be said who may use the relay.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = proxies)]
    pub trusted_proxy: Vec<IpNet>,

    /// Address and port for the operator: /metrics for Prometheus, /ready and /health. Keep it on loopback or in a private network:
    /// nothing is asked of who comes there, and beyond loopback a warning says so. No address, room or key is shown there, but how
    /// many use the relay, and how much [default: none]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    pub admin_listen: Option<SocketAddr>,

    /// TOML file with any of these options, as in `port = 8787` or `allow-origin = ["https://example.org"]`. The command line
    /// goes before the environment, and that before the file [default: none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Says whether all options, files and directories can be used, and ends: with 0 and a line about where it would listen and for
    /// whom, else with 2.
    #[arg(long)]
    pub check_config: bool,

    /// What is logged.
    #[command(flatten)]
    pub log: LogOptions,

    /// TLS.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// Who may use it.
    #[command(flatten)]
    pub access: AccessOptions,

    /// Servers for direct connections.
    #[command(flatten)]
    pub ice: IceOptions,

    /// The limits.
    #[command(flatten)]
    pub limits: Limits,
}

impl Options {
    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen.ip(), self.port.unwrap_or(self.listen.port()))
    }
}

/// A network of proxies. One of all addresses would let anybody say who he is.
fn proxies(text: &str) -> Result<IpNet, String> {
    let network: IpNet = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(address) => format!("for one address write {}", IpNet::from(address.to_canonical())),
        Err(_) => "expected a network, such as 10.0.0.0/8 or 127.0.0.1/32".to_owned(),
    })?;
    let network = canonical(network);
    if network.prefix_len() == 0 {
        return Err("everybody would be a proxy: name the network of yours".to_owned());
    }
    Ok(network)
}

/// An IPv4 network that is written as one of IPv6, as the addresses in it are taken.
fn canonical(network: IpNet) -> IpNet {
    let v4 = match (network.addr().to_canonical(), network.prefix_len().checked_sub(MAPPED)) {
        (IpAddr::V4(address), Some(prefix)) if matches!(network, IpNet::V6(_)) => Ipv4Net::new(address, prefix).ok(),
        _ => None,
    };
    v4.map_or(network, IpNet::from)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_network_of_proxies_may_be_written_as_one_of_ipv6() {
        for (text, network) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.1/128", "192.0.2.1/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1/128", "::1/128"),
        ] {
            assert_eq!(proxies(text), Ok(network.parse().expect("a network")), "{text}");
        }
        assert!(proxies("::ffff:0.0.0.0/96").is_err_and(|text| text.contains("everybody")));
        assert!(proxies("::ffff:10.0.0.1").is_err_and(|text| text.ends_with("write 10.0.0.1/32")));
    }
}
