//! URLs of STUN and TURN servers, as browsers take them (RFC 7064, RFC 7065). One bad URL keeps a page from any direct connection.

use std::net::{Ipv4Addr, Ipv6Addr};

use peersockets_core::limits;
use thiserror::Error;

/// Why no browser takes a URL, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IceUrlError {
    /// Another scheme than that of a STUN server, or none.
    #[error("write stun:HOST or stun:HOST:PORT, such as stun:stun.example.org:3478")]
    Stun,
    /// Another scheme than those of a TURN server, or none.
    #[error(
        "write turn:HOST:PORT, such as turn:turn.example.org:3478, with ?transport=tcp behind it for TCP; turns:HOST:PORT for TLS"
    )]
    Turn,
    /// As of a website.
    #[error("leave the // out: such a URL is a scheme, a colon, a host and a port")]
    Slashes,
    /// The relay makes user names and passwords.
    #[error("leave user and password out: --turn-secret makes them")]
    User,
    /// Neither a name nor an address.
    #[error("'{0}' is no host name and no IP address; IPv6 goes in brackets")]
    Host(String),
    /// No number, or one that is no port.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// Something behind the port of a STUN server.
    #[error("leave '{0}' out: browsers refuse it in the URL of a STUN server")]
    StunQuery(String),
    /// Something other than a transport behind the port.
    #[error("leave '{0}' out: browsers know ?transport=udp and ?transport=tcp, and only the latter with turns:")]
    TurnQuery(String),
    /// Longer than a client takes.
    #[error("it has more than {} bytes", limits::ICE_SERVER_TEXT)]
    TooLong,
}

/// The URL of a STUN server.
pub fn stun(text: &str) -> Result<String, IceUrlError> {
    let rest = text.strip_prefix("stun:").ok_or(IceUrlError::Stun)?;
    let (authority, query) = split_query(rest);
    if !query.is_empty() {
        return Err(IceUrlError::StunQuery(query.to_owned()));
    }
    check_authority(authority)?;
    check_length(text)
}

/// The URL of a TURN server.
pub fn turn(text: &str) -> Result<String, IceUrlError> {
    let (scheme, rest) = text.split_once(':').ok_or(IceUrlError::Turn)?;
    let (authority, query) = split_query(rest);
    match (scheme, query) {
        ("turn" | "turns", "" | "?transport=tcp") | ("turn", "?transport=udp") => {}
        ("turn" | "turns", query) => return Err(IceUrlError::TurnQuery(query.to_owned())),
        _ => return Err(IceUrlError::Turn),
    }
    check_authority(authority)?;
    check_length(text)
}

/// What stands before the first `?` or `#`, and the rest.
fn split_query(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

fn check_authority(authority: &str) -> Result<(), IceUrlError> {
    if authority.starts_with('/') {
        return Err(IceUrlError::Slashes);
    }
    if authority.contains('@') {
        return Err(IceUrlError::User);
    }
    // The colons in brackets are those of an IPv6 address.
    let after_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[after_address..].split_once(':') {
        Some((rest, port)) => (&authority[..after_address + rest.len()], Some(port)),
        None => (authority, None),
    };
    if !is_host(host) {
        return Err(IceUrlError::Host(host.to_owned()));
    }
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && matches!(port.parse(), Ok(1..=u16::MAX));
    if port.is_none_or(is_port) { Ok(()) } else { Err(IceUrlError::Port) }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let is_safe = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_safe && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn check_length(text: &str) -> Result<String, IceUrlError> {
    if text.len() > limits::ICE_SERVER_TEXT { Err(IceUrlError::TooLong) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_take_is_announced_as_it_is_written() {
        for url in ["stun:stun.example.org", "stun:192.0.2.1:3478", "stun:[2001:db8::1]:19302", "stun:localhost"] {
            assert_eq!(stun(url), Ok(url.to_owned()));
        }
        for url in [
            "turn:turn.example.org",
            "turn:192.0.2.1:3478",
            "turn:turn.example.org:3478?transport=udp",
            "turn:[2001:db8::1]:3478?transport=tcp",
            "turns:xn--mnchen-3ya.example:443",
            "turns:turn.example.org:5349?transport=tcp",
        ] {
            assert_eq!(turn(url), Ok(url.to_owned()));
        }
    }

    #[test]
    fn what_no_browser_takes_is_refused_with_what_to_write() {
        let host = |host: &str| IceUrlError::Host(host.to_owned());
        for (url, error) in [
            ("stun.example.org:3478", IceUrlError::Stun),
            ("stuns:stun.example.org", IceUrlError::Stun),
            ("STUN:stun.example.org", IceUrlError::Stun),
            ("turn:turn.example.org", IceUrlError::Stun),
            ("stun://stun.example.org", IceUrlError::Slashes),
            ("stun:me@stun.example.org", IceUrlError::User),
            ("stun:stun.example.org?transport=udp", IceUrlError::StunQuery("?transport=udp".to_owned())),
            ("stun:stun.example.org#a", IceUrlError::StunQuery("#a".to_owned())),
            ("stun:", host("")),
            ("stun::3478", host("")),
            ("stun:stun..example", host("stun..example")),
            ("stun:-a.example", host("-a.example")),
            ("stun:a b", host("a b")),
            ("stun:münchen.example", host("münchen.example")),
            ("stun:192.0.2.256", host("192.0.2.256")),
            ("stun:192.0.2", host("192.0.2")),
            ("stun:[2001:db8::1", host("[2001")),
            ("stun:[::g]", host("[::g]")),
            ("stun:[::1]x:1", host("[::1]x")),
            ("stun:a.example/", host("a.example/")),
            ("stun:a.example:", IceUrlError::Port),
            ("stun:a.example:0", IceUrlError::Port),
            ("stun:a.example:+1", IceUrlError::Port),
            ("stun:a.example:65536", IceUrlError::Port),
            ("stun:2001:db8::1", IceUrlError::Host("2001".to_owned())),
        ] {
            assert_eq!(stun(url), Err(error), "{url}");
        }
        let query = |query: &str| IceUrlError::TurnQuery(query.to_owned());
        for (url, error) in [
            ("turn.example.org", IceUrlError::Turn),
            ("turn.example.org:3478", IceUrlError::Turn),
            ("stun:turn.example.org", IceUrlError::Turn),
            ("turn://turn.example.org", IceUrlError::Slashes),
            ("turn:me:secret@turn.example.org", IceUrlError::User),
            ("turn:a.example?transport=tls", query("?transport=tls")),
            ("turn:a.example?", query("?")),
            ("turns:a.example?transport=udp", query("?transport=udp")),
            ("turn:a.example:port", IceUrlError::Port),
        ] {
            assert_eq!(turn(url), Err(error), "{url}");
        }
        let longest = format!("stun:{}a", "a.".repeat(124));
        assert_eq!((longest.len(), stun(&longest)), (254, Ok(longest.clone())));
        assert_eq!(stun(&format!("{longest}.a")), Err(IceUrlError::TooLong));
    }
}
