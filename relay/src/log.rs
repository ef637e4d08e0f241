//! The log: our own events on stderr, as text or JSON.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::address::show_addresses_in_full;

/// What is logged, and how.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Log")]
#[non_exhaustive]
pub struct LogOptions {
    /// What is logged to stderr: off, error, warn, info, debug or trace. No level logs messages, tokens or whole ids.
    #[arg(id = "log", long = "log", value_name = "LEVEL", default_value = "info")]
    pub level: LevelFilter,

    /// How it is logged: as lines for people, or as one JSON object a line.
    #[arg(long = "log-format", value_name = "FORMAT", default_value = "text")]
    pub log_format: Format,

    /// How addresses of clients are logged: short is the /24 of an IPv4 address and the /48 of an IPv6 address; full is the
    /// whole of an IPv4 address, and of an IPv6 address the /64 by which limits count.
    #[arg(long = "log-addresses", value_name = "HOW", default_value = "short")]
    pub log_addresses: Addresses,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How much of an address is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Addresses {
    /// Too little to know who it was.
    Short,
    /// As much as limits count by.
    Full,
}

/// Starts it, once in a process. Events of the libraries are left out: they may hold what clients sent.
pub fn start(options: &LogOptions) {
    if options.log_addresses == Addresses::Full {
        show_addresses_in_full();
    }
    let lines = match options.log_format {
        Format::Text => text().boxed(),
        Format::Json => fmt::layer().json().flatten_event(true).with_target(false).with_writer(io::stderr).boxed(),
    };
    let ours = Targets::new().with_target("peersockets_relay", options.level);
    tracing_subscriber::registry().with(lines).with(ours).init();
}

fn text<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).with_target(false)
}
