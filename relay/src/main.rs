#![forbid(unsafe_code)]
#![warn(missing_docs)]
//! The program `peersockets-relay`.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use peersockets_relay::mint::{Action, MintError};
use peersockets_relay::options::{Options, Program};
use peersockets_relay::server::{Server, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// File descriptors for anything but connections.
const SPARE_FILES: u64 = 64;

fn main() -> ExitCode {
    let program = Program::parse();
    let outcome = match program.action {
        Some(Action::Token(mint)) => {
            mint.token(SystemTime::now()).map(|token| println!("{token}")).map_err(Failure::from)
        }
        None => serve(&program.options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "peersockets-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Result<(), Failure> {
    start_log(options);
    allow_files(options);
    run(options)
}

#[tokio::main]
async fn run(options: &Options) -> Result<(), Failure> {
    // Before anyone can know the port, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::bind(options).await?;
    let address = server.address()?;
    // Whoever started us may not care to listen.
    let _ = write!(io::stdout(), "{}", greeting(address)).and_then(|()| io::stdout().flush());
    if address.ip().is_unspecified() {
        let port = address.port();
        info!("other devices open http://ADDRESS:{port}, where ADDRESS is one that this machine has in their network");
    }
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM: shutting down"),
                _ = interrupt.recv() => info!("SIGINT: shutting down"),
            }
        })
        .await;
    Ok(())
}

/// The address, and what a page says that does not come from it.
fn greeting(address: SocketAddr) -> String {
    let port = address.port();
    let host = if address.ip().is_unspecified() { format!("ADDRESS:{port}") } else { address.to_string() };
    format!(
        "listening on http://{address}\n\
         pages of other servers name it: <meta name=\"peersockets-relay\" content=\"ws://{host}/relay\">\n"
    )
}

/// Logs our own events only: those of the libraries may hold what clients sent.
fn start_log(options: &Options) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(Targets::new().with_target("peersockets_relay", options.log))
        .init();
}

/// Raises the system's limit of open files to what the limits of connections need.
fn allow_files(options: &Options) {
    let needed = options.limits.tcp_connections() as u64 + SPARE_FILES;
    match rlimit::increase_nofile_limit(needed) {
        Ok(files) if files >= needed => {}
        Ok(files) => warn!("the system allows {files} open files, --connections needs {needed}"),
        Err(error) => warn!(%error, "cannot raise the limit of open files"),
    }
}

/// Why the program fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Token(#[from] MintError),
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}
