//! Where a client comes from, as far as limits and logs need to know.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The address that limits count by: an IPv4 address or an IPv6 /64, which one household has to itself.
///
/// It is shown shortened to a /24 or /48.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The client behind a connection from `peer`: `peer` itself, or, if that is a trusted proxy, the last address in
    /// `x-forwarded-for` that is none.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let peer = peer.to_canonical();
        if !is_trusted(&peer) {
            return peer.into();
        }
        let forwarded: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        forwarded
            .iter()
            .flat_map(|list| list.split(','))
            .rev()
            .map_while(|text| text.trim().parse::<IpAddr>().ok())
            .map(|address| address.to_canonical())
            .find(|address| !is_trusted(address))
            .unwrap_or(peer)
            .into()
    }
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

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
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
