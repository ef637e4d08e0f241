//! The command `token`: signs a room token on the operator's machine.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args, Subcommand};
use peersockets_core::drive::DriveKey;
use thiserror::Error;

use crate::room_token::{RoomSecret, RoomToken};
use crate::rooms::RoomId;
use crate::secret::{Secret, SecretError};

/// What the program does instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Prints a token for one room, or for all. The relay that has the same secret takes it until it expires.
    Token(Mint),
}

/// A token to be made.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("rooms").args(["room", "drive"]).required(true)))]
#[non_exhaustive]
pub struct Mint {
    /// The relay's secret.
    #[arg(long, value_name = "SECRET")]
    pub room_secret: Option<Secret>,

    /// The file with the relay's secret.
    #[arg(long, value_name = "FILE", required_unless_present = "room_secret")]
    pub room_secret_file: Option<PathBuf>,

    /// The room: the 64 hex digits of its rendezvous id, or `*` for all rooms.
    #[arg(long, value_name = "ID")]
    pub room: Option<Room>,

    /// The drive, as hyper://KEY, instead of its room. The id is computed here: no relay learns the key, though other users
    /// of this machine may see it in the list of processes.
    #[arg(long, value_name = "DRIVE", value_parser = room_of_drive)]
    pub drive: Option<RoomId>,

    /// How long the token is good: 90s, 15m, 12h, 30d.
    #[arg(long = "for", value_name = "TIME", value_parser = lifetime)]
    pub time: Duration,
}

/// One room, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(pub Option<RoomId>);

/// Why no token is made.
#[derive(Debug, Error)]
#[error("--room-secret-file {}: {error}", path.display())]
pub struct MintError {
    path: PathBuf,
    error: SecretError,
}

impl Mint {
    /// The token, good from `now` on.
    pub fn token(&self, now: SystemTime) -> Result<String, MintError> {
        let secret = self.secret()?;
        let room = self.drive.or(self.room.and_then(|Room(room)| room));
        Ok(RoomSecret::new(&secret).sign(&RoomToken::lasting(room, now, self.time)))
    }

    fn secret(&self) -> Result<Secret, MintError> {
        if let Some(secret) = &self.room_secret {
            return Ok(secret.clone());
        }
        let path = self.room_secret_file.clone().unwrap_or_default();
        Secret::read(&path).map_err(|error| MintError { path, error })
    }
}

impl FromStr for Room {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self(None));
        }
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap_or_default();
        let id = bytes.try_into().map_err(|_| "expected 64 hex digits, or * for all rooms")?;
        Ok(Self(Some(RoomId(id))))
    }
}

/// A token counts in seconds.
fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time < Duration::from_secs(1) => Err("such a token would be good at no time".to_owned()),
        time => time.map_err(|error| error.to_string()),
    }
}

fn room_of_drive(text: &str) -> Result<RoomId, String> {
    let key = DriveKey::parse(text).map_err(|error| error.to_string())?;
    Ok(RoomId(key.rendezvous_id()))
}
