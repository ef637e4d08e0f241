#![forbid(unsafe_code)]
#![warn(missing_docs)]
//! The program `peersockets-relay`.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use peersockets_relay::mint::{Action, Mint, MintError};
use peersockets_relay::options::Options;
use peersockets_relay::reload::Reload;
use peersockets_relay::server::{Server, StartError};
use peersockets_relay::{config, log};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// File descriptors for anything but connections.
const SPARE_FILES: u64 = 64;
/// Exit code for options that can't be used.
const BAD_OPTIONS: u8 = 2;

fn main() -> ExitCode {
    let program = config::read(env::args_os()).unwrap_or_else(|error| error.exit());
    let outcome = match program.action {
        Some(Action::Token(mint)) => print_token(&mint),
        None if program.options.check_config => return check(&program.options),
        None => serve(&program.options),
    };
    outcome.map_or_else(|error| complain(&error, ExitCode::FAILURE), |()| ExitCode::SUCCESS)
}

fn print_token(mint: &Mint) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{}", mint.token(SystemTime::now())?)?)
}

fn check(options: &Options) -> ExitCode {
    match Server::check(options) {
        Ok(()) => {
            let (scheme, address) = (scheme(options.tls.tls_cert.is_some()), options.address());
            let _ = writeln!(io::stdout(), "all of it can be used: {scheme}://{address}, for {}", options.access);
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error.into(), BAD_OPTIONS.into()),
    }
}

fn complain(error: &Failure, code: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "peersockets-relay: {error}");
    code
}

fn serve(options: &Options) -> Result<(), Failure> {
    log::start(&options.log);
    allow_files(options);
    run(options)
}

#[tokio::main]
async fn run(options: &Options) -> Result<(), Failure> {
    // Before anyone can know the port, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    let server = Server::bind(options).await?;
    let terminal_is_gone = terminal_is_gone(hangup, server.reload());
    let address = server.address()?;
    let greeting = greeting(address, server.has_tls(), server.admin_address()?);
    // Whoever started us may not care to listen.
    let _ = write!(io::stdout(), "{greeting}").and_then(|()| io::stdout().flush());
    if let Some(admin) = server.admin_address()?.filter(|admin| !admin.ip().to_canonical().is_loopback()) {
        warn!("--admin-listen: whoever reaches {admin} sees how many use this relay; nothing is asked of them");
    }
    if address.ip().is_unspecified() {
        let (port, scheme) = (address.port(), scheme(server.has_tls()));
        info!(
            "other devices open {scheme}://ADDRESS:{port}, where ADDRESS is one that this machine has in their network"
        );
    }
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM: shutting down"),
                _ = interrupt.recv() => info!("SIGINT: shutting down"),
                () = terminal_is_gone => info!("the terminal is closed: shutting down"),
            }
        })
        .await;
    Ok(())
}

/// Reads files anew at each hangup. Returns at that of a terminal which was closed: then the relay ends, as other programs do.
async fn terminal_is_gone(mut hangup: Signal, reload: Reload) {
    let had_terminal = io::stdin().is_terminal();
    loop {
        hangup.recv().await;
        if had_terminal && !io::stdin().is_terminal() {
            return;
        }
        reload.now();
    }
}

/// The address, and what a page says that does not come from it.
fn greeting(address: SocketAddr, has_tls: bool, admin: Option<SocketAddr>) -> String {
    let port = address.port();
    let host = if address.ip().is_unspecified() { format!("ADDRESS:{port}") } else { address.to_string() };
    let (scheme, web_socket) = (scheme(has_tls), if has_tls { "wss" } else { "ws" });
    let operator = admin.map(|address| format!("metrics for Prometheus on http://{address}/metrics\n"));
    format!(
        "listening on {scheme}://{address}\n\
         pages of other servers name it: <meta name=\"peersockets-relay\" content=\"{web_socket}://{host}/relay\">\n{}",
        operator.unwrap_or_default()
    )
}

fn scheme(has_tls: bool) -> &'static str {
    if has_tls { "https" } else { "http" }
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
