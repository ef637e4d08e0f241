//! STUN and TURN servers for direct connections. The relay announces them to its clients; they are servers of their own.
//!
//! The credentials are those of coturn's `use-auth-secret`: a user name is the second in which it expires, since 1970, a colon and any text, and
//! its password is
//!
//! ```text
//! base64(HMAC-SHA-1(secret, user name))
//! ```

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use data_encoding::BASE64;
use peersockets_core::rtc::IceServer;
use ring::hmac;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::ice_url;
use crate::secret::{Secret, UnusableSecret};

/// The longest life of a credential: whoever got one keeps it that long.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Which servers are announced.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Direct connections")]
#[non_exhaustive]
pub struct IceOptions {
    /// Announces a STUN server to pages, such as stun:stun.example.org:3478: it tells each its own public address, so that two behind
    /// ordinary routers find a direct way to each other. May be repeated [default: none]
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = ice_url::stun)]
    pub stun: Vec<String>,

    /// Announces a TURN server, such as turn:turn.example.org:3478 or turns:turn.example.org:5349: it passes on what two pages send each
    /// other where no direct way leads through. May be repeated. Whoever may use this relay may use it [default: none]
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = ice_url::turn)]
    pub turn: Vec<String>,

    /// File with the secret that the TURN servers have too, coturn's static-auth-secret beside use-auth-secret: at least 32 characters.
    /// User names and passwords are made with it. SIGHUP reads it anew; if it can't be used, the old one stays.
    #[arg(long, value_name = "FILE")]
    pub turn_secret: Option<PathBuf>,

    /// How long a user name and password for TURN are good, such as 90m or 24h. Pages get new ones when half of that is over.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    pub turn_time: Duration,
}

/// What clients are told of.
#[derive(Debug, Default)]
pub struct IceServers {
    options: IceOptions,
    /// There, if there is a TURN server.
    secret: RwLock<Option<TurnSecret>>,
    /// The secret was read anew.
    reloaded: Notify,
}

/// What a TURN server knows user names by.
#[derive(Debug)]
struct TurnSecret(hmac::Key);

/// A user name and its password.
struct Credential {
    username: String,
    password: String,
}

impl IceOptions {
    /// How many servers there are.
    pub fn count(&self) -> usize {
        self.stun.len() + self.turn.len()
    }
}

impl IceServers {
    /// Those of `options`, whose file is read.
    pub fn new(options: &IceOptions) -> Result<Self, UnusableSecret> {
        let secret = options.turn_secret.as_deref().map(TurnSecret::read).transpose()?;
        Ok(Self { options: options.clone(), secret: RwLock::new(secret), reloaded: Notify::new() })
    }

    /// Reads the secret again and has all clients told; `false` if there is none. After an error all is as before.
    pub fn reload(&self) -> Result<bool, UnusableSecret> {
        let Some(file) = &self.options.turn_secret else { return Ok(false) };
        let secret = TurnSecret::read(file)?;
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = Some(secret);
        self.reloaded.notify_one();
        Ok(true)
    }

    /// What one client is told at `now`. Each gets a user name of its own, so that a TURN server's quota for one is for one client.
    pub fn announcement(&self, now: SystemTime) -> Vec<IceServer> {
        let IceOptions { stun, turn, turn_time, .. } = &self.options;
        let stun = stun.iter().map(|url| server(url, None));
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        let credential = secret.as_ref().map(|secret| secret.credential(now + *turn_time, random_name()));
        stun.chain(turn.iter().map(|url| server(url, credential.as_ref()))).collect()
    }

    /// Waits until all clients are to be told anew. Whenever one was told last, its credentials are good for half of their time still.
    pub async fn renewal(&self) {
        if self.options.turn.is_empty() {
            return std::future::pending().await;
        }
        tokio::select! {
            () = sleep(self.options.turn_time / 2) => {}
            () = self.reloaded.notified() => {}
        }
    }
}

impl TurnSecret {
    fn read(file: &Path) -> Result<Self, UnusableSecret> {
        let unusable = |error| UnusableSecret { option: "--turn-secret", path: file.to_owned(), error };
        Secret::read_foreign(file).map(|secret| Self::new(secret.as_bytes())).map_err(unusable)
    }

    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret))
    }

    /// A credential that is good until `expires`, in whole seconds, or a little longer.
    fn credential(&self, expires: SystemTime, name: String) -> Credential {
        let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64().ceil() as u64;
        let username = format!("{expires}:{name}");
        let password = BASE64.encode(hmac::sign(&self.0, username.as_bytes()).as_ref());
        Credential { username, password }
    }
}

fn server(url: &str, credential: Option<&Credential>) -> IceServer {
    let (username, credential) =
        credential.map(|Credential { username, password }| (username.clone(), password.clone())).unwrap_or_default();
    IceServer { url: url.to_owned(), username, credential }
}

/// A name that is used once and for nobody.
fn random_name() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if (Duration::from_secs(1)..=LONGEST).contains(&time) => Ok(time),
        Ok(_) => Err("expected a time from 1s to 365d".to_owned()),
        Err(error) => Err(format!("expected a time, such as 90m or 24h: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(seconds)
    }

    /// From `printf %s 1800000000:0123456789abcdef | openssl dgst -sha1 -hmac SECRET -binary | base64`.
    #[test]
    fn a_credential_is_what_openssl_makes_of_its_user_name() {
        for (secret, password) in [
            (&b"0123456789abcdef0123456789abcdef"[..], "y0BlYte7psJWNLTfeB+OuXplJuI="),
            (&[b'x'; 100], "OcnpLo6Agp/Okwg7Fer7iEmXTyE="),
        ] {
            let credential = TurnSecret::new(secret).credential(at(NOW as f64), "0123456789abcdef".to_owned());
            assert_eq!(credential.username, "1800000000:0123456789abcdef");
            assert_eq!(credential.password, password);
        }
    }

    #[test]
    fn a_credential_is_good_for_its_time_and_names_nobody() {
        let options = IceOptions {
            turn: vec!["turn:a.example".to_owned(), "turns:a.example".to_owned()],
            turn_time: Duration::from_secs(90),
            ..IceOptions::default()
        };
        let secret = RwLock::new(Some(TurnSecret::new(&[b'x'; 32])));
        let servers = IceServers { options, secret, reloaded: Notify::new() };
        let announced: Vec<Vec<IceServer>> = (0..1_000).map(|_| servers.announcement(at(NOW as f64 + 0.5))).collect();
        for both in &announced {
            assert_eq!(both[0].username, both[1].username, "one for all servers");
            let (expires, name) = both[0].username.split_once(':').expect("two parts");
            assert_eq!((expires, name.len()), ("1800000091", 16), "not sooner than 90 s from now");
        }
        let names: HashSet<&str> = announced.iter().map(|both| both[0].username.as_str()).collect();
        assert_eq!(names.len(), announced.len());
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_told_anew_when_half_of_the_time_is_over_and_nobody_where_nothing_expires() {
        let turn = |turn: &[&str]| IceServers {
            options: IceOptions {
                stun: vec!["stun:a.example".to_owned()],
                turn: turn.iter().map(|url| (*url).to_owned()).collect(),
                turn_time: Duration::from_secs(86_400),
                ..IceOptions::default()
            },
            ..IceServers::default()
        };
        let begin = tokio::time::Instant::now();
        turn(&["turn:a.example"]).renewal().await;
        assert_eq!(begin.elapsed().as_secs(), 43_200);
        let year = Duration::from_secs(365 * 86_400);
        assert!(tokio::time::timeout(year, turn(&[]).renewal()).await.is_err());
    }
}
