//! Origins of pages, as browsers send them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderValue;
use thiserror::Error;

/// An origin, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Why no browser sends a text as an origin, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OriginError {
    /// All origins, or none.
    #[error("{}; --public lets in everybody", Self::EXAMPLE)]
    Anybody,
    /// No scheme and host, or more than those and a port.
    #[error("{}", Self::EXAMPLE)]
    Form,
    /// A part of many names.
    #[error("{}; there are no wildcards: repeat the option", Self::EXAMPLE)]
    Wildcard,
    /// The URL of a WebSocket.
    #[error("name the origin of the page, not of the relay: http{0}")]
    WebSocket(String),
    /// Its pages have the origin `null`, as many others.
    #[error("pages of {0}: have no origin of their own; a token can let them in")]
    Opaque(String),
    /// The name is not in ASCII.
    #[error(
        "browsers write such a name in punycode, as in https://xn--mnchen-3ya.example; location.origin shows it in the console of the page"
    )]
    NotAscii,
    /// The name looks like an address and is none, or is not written as one.
    #[error("browsers write addresses in full and in one way, such as http://192.0.2.1 or http://[2001:db8::1]")]
    Address,
    /// No number, or one that is no port.
    #[error("a port is a number from 1 to 65535, without zeros in front")]
    Port,
    /// The port that the scheme has anyway.
    #[error("browsers leave this port out: write {0}")]
    DefaultPort(String),
}

impl OriginError {
    const EXAMPLE: &str = "name an origin as browsers do, such as https://example.org or http://localhost:5173";
}

impl Origin {
    /// Whether it is what a browser has sent.
    pub fn is(&self, sent: &HeaderValue) -> bool {
        sent == self.0.as_str()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "*" || text == "null" {
            return Err(OriginError::Anybody);
        }
        if !text.is_ascii() {
            return Err(OriginError::NotAscii);
        }
        let origin = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, authority) = origin.split_once("://").ok_or(OriginError::Form)?;
        check_scheme(scheme, authority)?;
        let (host, port) = split(authority)?;
        check_host(host)?;
        if let Some(port) = port {
            check_port(scheme, host, port)?;
        }
        Ok(Self(origin))
    }
}

/// Besides those of the web there are those of extensions and apps.
fn check_scheme(scheme: &str, authority: &str) -> Result<(), OriginError> {
    let is_form = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    match scheme {
        "ws" => Err(OriginError::WebSocket(format!("://{authority}"))),
        "wss" => Err(OriginError::WebSocket(format!("s://{authority}"))),
        "file" | "data" | "blob" | "about" | "javascript" => Err(OriginError::Opaque(scheme.to_owned())),
        _ if scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(is_form) => Ok(()),
        _ => Err(OriginError::Form),
    }
}

/// Host and port.
fn split(authority: &str) -> Result<(&str, Option<&str>), OriginError> {
    // The colons in brackets are those of an IPv6 address.
    let after_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after_address..].split_once(':') {
        Some((rest, port)) => Ok((&authority[..after_address + rest.len()], Some(port))),
        None => Ok((authority, None)),
    }
}

fn check_host(host: &str) -> Result<(), OriginError> {
    if host.contains('*') {
        return Err(OriginError::Wildcard);
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let parsed: Ipv6Addr = address.parse().map_err(|_| OriginError::Address)?;
        return if parsed.to_string() == address { Ok(()) } else { Err(OriginError::Address) };
    }
    let is_form = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_form) {
        return Err(OriginError::Form);
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && host.parse::<Ipv4Addr>().is_err() { Err(OriginError::Address) } else { Ok(()) }
}

fn check_port(scheme: &str, host: &str, port: &str) -> Result<(), OriginError> {
    let number: u16 = port.parse().map_err(|_| OriginError::Port)?;
    if number == 0 || number.to_string() != port {
        return Err(OriginError::Port);
    }
    match (scheme, number) {
        ("http", 80) | ("https", 443) => Err(OriginError::DefaultPort(format!("{scheme}://{host}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_send_is_an_origin() {
        for (text, sent) in [
            ("https://example.org", "https://example.org"),
            ("https://Example.ORG/", "https://example.org"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("https://xn--mnchen-3ya.example:8443", "https://xn--mnchen-3ya.example:8443"),
            ("http://192.0.2.1:8080", "http://192.0.2.1:8080"),
            ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
            ("http://[::1]", "http://[::1]"),
            ("https://a_b.example", "https://a_b.example"),
            ("http://example.org:443", "http://example.org:443"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("tauri://localhost", "tauri://localhost"),
        ] {
            let origin: Origin = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(origin.is(&HeaderValue::from_static(sent)), "{text}: {origin}");
            assert!(!origin.is(&HeaderValue::from_static("https://example.com")));
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_what_to_write() {
        for (text, error, advice) in [
            ("*", OriginError::Anybody, "--public lets in everybody"),
            ("null", OriginError::Anybody, "such as https://example.org"),
            ("", OriginError::Form, "such as https://example.org"),
            ("example.org", OriginError::Form, "such as https://example.org"),
            ("https://", OriginError::Form, "such as https://example.org"),
            ("://example.org", OriginError::Form, "such as https://example.org"),
            ("https://example.org/page", OriginError::Form, "such as https://example.org"),
            ("https://example.org//", OriginError::Form, "such as https://example.org"),
            ("https://example.org?page", OriginError::Form, "such as https://example.org"),
            ("https://someone@example.org", OriginError::Form, "such as https://example.org"),
            ("https://example.org ", OriginError::Form, "such as https://example.org"),
            ("https://%65xample.org", OriginError::Form, "such as https://example.org"),
            ("https://*.example.org", OriginError::Wildcard, "no wildcards"),
            ("https://example.*", OriginError::Wildcard, "no wildcards"),
            ("wss://example.org", OriginError::WebSocket("s://example.org".to_owned()), "relay: https://example.org"),
            ("ws://localhost:1", OriginError::WebSocket("://localhost:1".to_owned()), "relay: http://localhost:1"),
            ("file:///home/page.html", OriginError::Opaque("file".to_owned()), "have no origin"),
            ("https://m\u{fc}nchen.example", OriginError::NotAscii, "https://xn--"),
            ("https://192.0.2", OriginError::Address, "http://192.0.2.1"),
            ("https://192.0.2.256", OriginError::Address, "http://192.0.2.1"),
            ("http://[2001:db8:0::1]", OriginError::Address, "[2001:db8::1]"),
            ("http://[nonsense]", OriginError::Address, "[2001:db8::1]"),
            ("https://example.org:", OriginError::Port, "from 1 to 65535"),
            ("https://example.org:0", OriginError::Port, "from 1 to 65535"),
            ("https://example.org:65536", OriginError::Port, "from 1 to 65535"),
            ("https://example.org:08443", OriginError::Port, "from 1 to 65535"),
            ("https://example.org:+8443", OriginError::Port, "from 1 to 65535"),
            ("https://example.org:80:90", OriginError::Port, "from 1 to 65535"),
            (
                "https://example.org:443",
                OriginError::DefaultPort("https://example.org".to_owned()),
                "write https://example.org",
            ),
            (
                "http://example.org:80",
                OriginError::DefaultPort("http://example.org".to_owned()),
                "write http://example.org",
            ),
        ] {
            let actual = text.parse::<Origin>().expect_err(text);
            assert_eq!(actual, error, "{text}");
            assert!(actual.to_string().contains(advice), "{text}: {actual}");
        }
    }
}
