//! Everybody comes back at once when a relay is started again.

mod common;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{PATIENCE, Random, Relay, encoded};
use futures_util::{SinkExt, StreamExt};
use peersockets_core::rendezvous::{FromRelay, SUBPROTOCOL, ToRelay};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const CLIENTS: usize = 5_000;
/// Of those, so many have an address with many others.
const CROWDED: usize = 1_000;
const IN_A_CROWD: usize = 250;
const ELSEWHERE: usize = 10;
const IN_A_ROOM: usize = 50;
/// Time for all to be back, on a machine that does a lot else.
const LONGEST: Duration = Duration::from_secs(240);

/// What became of attempts, by the relay's code.
type Outcomes = Arc<Mutex<BTreeMap<String, usize>>>;

/// Where a client comes from: some share an address with more than may come at once.
fn source(client: usize) -> Ipv4Addr {
    match client.checked_sub(CROWDED) {
        None => Ipv4Addr::new(127, 1, 0, 1 + (client / IN_A_CROWD) as u8),
        Some(client) => Ipv4Addr::new(127, 2, (client / ELSEWHERE / 200) as u8, 1 + (client / ELSEWHERE % 200) as u8),
    }
}

/// Joins, or says why not.
async fn join(relay: SocketAddr, client: usize) -> Result<WebSocketStream<TcpStream>, String> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((IpAddr::from(source(client)), 0).into()).expect("a source address");
    let stream = socket.connect(relay).await.map_err(|_| "unreachable")?;
    let mut request = format!("ws://{relay}/relay").into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a header"));
    let upgraded = tokio_tungstenite::client_async(request, stream).await;
    let (mut socket, _) = upgraded.map_err(|_| "closed at the door")?;
    let mut room = [0xc0; 32];
    room[0] = (client % (CLIENTS / IN_A_ROOM)) as u8;
    socket.send(Message::Binary(encoded(ToRelay::Join { room }).into())).await.map_err(|_| "closed at the door")?;
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(frame))) => match FromRelay::decode(&frame) {
                Ok(Some(FromRelay::Welcome { .. })) => return Ok(socket),
                Ok(Some(FromRelay::Refused { code, .. })) => return Err(code.to_owned()),
                other => panic!("{other:?}"),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err("closed at the door".to_owned()),
        }
    }
}

/// Stays in its room, and comes back as a page does: after half a second and then ever later.
async fn live(relay: SocketAddr, client: usize, outcomes: Outcomes, joined: watch::Sender<usize>) {
    let mut random = Random(client as u64);
    let mut failures = 0;
    loop {
        match timeout(PATIENCE, join(relay, client)).await.unwrap_or(Err("no answer".to_owned())) {
            Ok(mut socket) => {
                failures = 0;
                joined.send_modify(|joined| *joined += 1);
                while let Some(Ok(_)) = socket.next().await {}
                joined.send_modify(|joined| *joined -= 1);
            }
            Err(outcome) => *outcomes.lock().expect("the outcomes").entry(outcome).or_default() += 1,
        }
        let pause = Duration::from_millis(500 << failures.min(6)).min(Duration::from_secs(30));
        failures += 1;
        sleep(pause.mul_f64(0.5 + random.below(1_000) as f64 / 1_000.0)).await;
    }
}

#[tokio::test]
async fn five_thousand_clients_come_back_at_once_after_a_restart() {
    let files = rlimit::increase_nofile_limit(CLIENTS as u64 + 200).expect("a limit of open files");
    assert!(files > CLIENTS as u64 + 100, "the system allows {files} open files");
    let mut relay = Relay::start(&[]);
    let address = relay.address;
    let outcomes = Outcomes::default();
    let (joined, mut all) = watch::channel(0);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(live(address, client, outcomes.clone(), joined.clone()));
    }
    timeout(LONGEST, all.wait_for(|joined| *joined == CLIENTS)).await.expect("all in time").expect("the clients");
    relay.until_metric("members", |members| members == CLIENTS as f64).await;

    relay.signal("TERM");
    assert!(relay.exit_status().await.success());
    timeout(LONGEST, all.wait_for(|joined| *joined == 0)).await.expect("all in time").expect("the clients");
    outcomes.lock().expect("the outcomes").clear();
    let start = Instant::now();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
    command.args(["--listen", &address.to_string(), "--admin-listen", "127.0.0.1:0"]);
    let relay = Relay::spawn(command);
    timeout(LONGEST, all.wait_for(|joined| *joined == CLIENTS)).await.expect("all in time").expect("the clients");
    println!("{CLIENTS} clients were back after {:.1} s", start.elapsed().as_secs_f64());
    relay.until_metric("members", |members| members == CLIENTS as f64).await;
    relay.until_metric("rooms", |rooms| rooms == (CLIENTS / IN_A_ROOM) as f64).await;

    let mut outcomes = outcomes.lock().expect("the outcomes").clone();
    println!("attempts that failed: {outcomes:?}");
    assert!(outcomes.remove("too-fast").is_some(), "more came of one address than may at once");
    outcomes.remove("unreachable");
    outcomes.remove("closed at the door");
    assert!(outcomes.is_empty(), "nothing but to try again: {outcomes:?}");
    let metrics = relay.admin("/metrics").await;
    let refusals: Vec<&str> =
        metrics.lines().filter(|line| line.contains("relay_refusals_total{") && !line.ends_with(" 0")).collect();
    assert!(matches!(refusals[..], [refusal] if refusal.contains(r#"code="too-fast""#)), "{refusals:?}");
}
