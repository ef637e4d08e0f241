//! Clients of our relay that all come back when it is started again.
//!
//! `crowd ADDRESS COUNT` keeps so many clients in rooms of 50, from one address for each ten. Each comes back as a page does: half a second
//! after it lost the relay or was refused, then later each time. Whenever all are there it prints a line, and so it does when none is.

use std::convert::Infallible;
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use peersockets_bench::websocket;
use peersockets_core::limits::{RETRY_FIRST, RETRY_MAX, WELCOME_TIME};
use peersockets_core::random::Random;
use peersockets_core::rendezvous::{FromRelay, SUBPROTOCOL, ToRelay};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const BEHIND_ONE_ADDRESS: usize = 10;
const IN_A_ROOM: usize = 50;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, count] = &arguments[..] else { panic!("crowd ADDRESS COUNT") };
    let address: SocketAddr = address.parse().expect("an address and a port");
    let count: usize = count.parse().expect("a number");
    let (present, mut all) = watch::channel(0);
    for client in 0..count {
        tokio::spawn(live(address, client, present.clone()));
    }
    loop {
        all.wait_for(|present| *present == count).await.expect("the clients");
        println!("all");
        all.wait_for(|present| *present == 0).await.expect("the clients");
        println!("none");
    }
}

async fn live(relay: SocketAddr, client: usize, present: watch::Sender<usize>) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(client as u64).to_le_bytes());
    let mut random = Random::from_seed(seed);
    let mut failures = 0;
    loop {
        if let Ok(Ok(mut stream)) = timeout(WELCOME_TIME, join(relay, client)).await {
            failures = 0;
            present.send_modify(|present| *present += 1);
            let _ = stay(&mut stream).await;
            present.send_modify(|present| *present -= 1);
        }
        let pause: Duration = RETRY_FIRST.saturating_mul(1 << failures.min(16)).min(RETRY_MAX);
        failures += 1;
        sleep(pause.mul_f64(0.5 + random.fraction())).await;
    }
}

async fn join(relay: SocketAddr, client: usize) -> Result<TcpStream> {
    let number = client / BEHIND_ONE_ADDRESS;
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::from(Ipv4Addr::new(127, 3, (number / 200) as u8, 1 + (number % 200) as u8)), 0).into())?;
    let mut stream = socket.connect(relay).await?;
    websocket::upgrade(&mut stream, "/relay", Some(SUBPROTOCOL)).await?;
    let mut room = [0xc0; 32];
    room[..8].copy_from_slice(&((client / IN_A_ROOM) as u64).to_le_bytes());
    let mut join = Vec::new();
    ToRelay::Join { room }.encode(&mut join);
    websocket::write_message(&mut stream, &websocket::binary(&join)).await?;
    let answer = websocket::read_message(&mut stream).await?;
    match FromRelay::decode(&answer) {
        Ok(Some(FromRelay::Welcome { .. })) => Ok(stream),
        other => Err(std::io::Error::other(format!("{other:?}"))),
    }
}

async fn stay(stream: &mut TcpStream) -> Result<Infallible> {
    loop {
        websocket::read_message(stream).await?;
    }
}
