//! Where a client comes from, as far as limits and logs need to know.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Where a proxy says for whom it asks.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether a connection from `peer` is one of a proxy that is believed.
pub fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(&peer))
}

/// The address that limits count by: an IPv4 address or an IPv6 /64, which one household has to itself.
///
/// It is shown shortened to a /24 or /48, unless the operator wants it otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The client behind a connection from `peer`: `peer` itself, or, if that is a trusted proxy, the last address in
    /// `x-forwarded-for` that is none. What stands before something that is no address is not believed.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        if !is_trusted(peer, trusted) {
            return peer.into();
        }
        // A value that is no text is no address either.
        let forwarded: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let mut hops = forwarded.iter().flat_map(|list| list.split(',')).rev().map_while(hop);
        hops.find(|address| !is_trusted(*address, trusted)).unwrap_or(peer).into()
    }
}

/// One address of the list; some proxies add the port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // Some write an IPv6 address in brackets without a port.
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok()
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 => Self(v4),
        }
    }
}

/// Whether the operator wants to see addresses as limits count them. One process has one log.
static IN_FULL: AtomicBool = AtomicBool::new(false);

/// From now on addresses are shown as limits count them.
pub fn show_addresses_in_full() {
    IN_FULL.store(true, Relaxed);
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) if IN_FULL.load(Relaxed) => write!(f, "{address}"),
            IpAddr::V6(address) if IN_FULL.load(Relaxed) => write!(f, "{address}/64"),
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                write!(f, "{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                write!(f, "{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }
}

impl fmt::Debug for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> ClientAddress {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().expect("header"));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().expect("network")).collect();
        ClientAddress::of(ip(peer), &headers, &trusted)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"], &[]), ip("192.0.2.1").into());
        assert_eq!(client("10.0.0.1", &["198.51.100.7"], &["10.0.0.0/8"]), ip("198.51.100.7").into());
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"], &["10.0.0.0/8"]), ip("198.51.100.7").into());
    }

    #[test]
    fn what_the_client_itself_wrote_before_the_proxies_is_not_believed() {
        let chain = ["203.0.113.9, 198.51.100.7", "10.0.0.2"];
        assert_eq!(client("10.0.0.1", &chain, &["10.0.0.0/8"]), ip("198.51.100.7").into());
        assert_eq!(client("10.0.0.1", &["203.0.113.9, nonsense"], &["10.0.0.0/8"]), ip("10.0.0.1").into());
        assert_eq!(client("10.0.0.1", &[], &["10.0.0.0/8"]), ip("10.0.0.1").into());
    }

    #[test]
    fn of_several_proxies_the_last_that_is_not_trusted_is_the_client() {
        let trusted = ["10.0.0.0/8", "2001:db8:ffff::/48"];
        assert_eq!(
            client("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.1.1.1, 2001:db8:ffff::2"], &trusted),
            ip("198.51.100.7").into()
        );
        assert_eq!(client("2001:db8:ffff::1", &["2001:db8:1:2::3"], &trusted), ip("2001:db8:1:2::3").into());
        assert_eq!(
            client("10.0.0.1", &["10.0.0.2, ::ffff:10.0.0.3"], &trusted),
            ip("10.0.0.1").into(),
            "none but proxies"
        );
        assert_eq!(client("10.0.0.1", &["198.51.100.7:4711"], &trusted), ip("198.51.100.7").into());
        assert_eq!(client("10.0.0.1", &["[2001:db8:1:2::3]:4711"], &trusted), ip("2001:db8:1:2::3").into());
        assert_eq!(client("10.0.0.1", &["[2001:db8:1:2::3]"], &trusted), ip("2001:db8:1:2::3").into());
    }

    #[test]
    fn a_malformed_list_names_nobody() {
        for list in
            ["", ",", "unknown", "198.51.100.7,", "198.51.100.7 203.0.113.9", "198.51.100.300", "198.51.100.7, \u{e4}"]
        {
            assert_eq!(client("10.0.0.1", &[list], &["10.0.0.0/8"]), ip("10.0.0.1").into(), "{list}");
        }
    }

    #[test]
    fn addresses_of_one_ipv6_household_are_one_client() {
        assert_eq!(ClientAddress::from(ip("2001:db8:1:2::3")), ip("2001:db8:1:2:4:5:6:7").into());
        assert_ne!(ClientAddress::from(ip("2001:db8:1:2::3")), ip("2001:db8:1:3::3").into());
    }

    #[test]
    fn an_address_is_never_shown_in_full() {
        assert_eq!(format!("{:?}", ClientAddress::from(ip("192.0.2.77"))), "192.0.2.0/24");
        assert_eq!(ClientAddress::from(ip("2001:db8:1:2::3")).to_string(), "2001:db8:1::/48");
    }
}
