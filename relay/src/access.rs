//! Who may use the relay: pages of some origins, whoever has a token, or everybody.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use axum::http::{HeaderMap, Uri, header};
use clap::Args;
use percent_encoding::percent_decode_str;
use ring::hmac;
use thiserror::Error;

use crate::origin::Origin;
use crate::room_token::{RoomSecret, RoomToken};
use crate::rooms::RoomId;
use crate::secret::{Secret, UnusableSecret};

/// The parameter of the relay's URL that carries a token: a page can set no header of a WebSocket.
const PARAMETER: &str = "token=";

/// Who may use the relay.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Access")]
#[non_exhaustive]
pub struct AccessOptions {
    /// Lets pages of this origin in, such as `https://example.org`, and those of no other. May be repeated. A program, which
    /// has no origin, then needs a token. It keeps other sites' pages out, not programs that lie.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub allow_origin: Vec<Origin>,

    /// Lets in who has this token: `wss://host/relay?token=TOKEN`, or the header `authorization: Bearer TOKEN`. At least
    /// 32 letters, digits, `-`, `.`, `_` or `~`. Every user of this machine can see it in the list of processes: a file
    /// or PEERSOCKETS_AUTH_TOKEN keep it.
    #[arg(long, value_name = "TOKEN")]
    pub auth_token: Option<Secret>,

    /// The same, with the token in a file. Spaces and line breaks around it do not count. SIGHUP reads it anew; if it can't be used,
    /// the old one stays.
    #[arg(long, value_name = "FILE")]
    pub auth_token_file: Option<PathBuf>,

    /// Lets in who has a token for the room that is signed with this secret; `peersockets-relay token` makes one. What a
    /// token and its secret look like, and where it is shown, is as with --auth-token, which opens all rooms.
    #[arg(long, value_name = "SECRET")]
    pub room_secret: Option<Secret>,

    /// The same, with the secret in a file, which SIGHUP reads anew.
    #[arg(long, value_name = "FILE")]
    pub room_secret_file: Option<PathBuf>,

    /// Lets in everybody. Without this, --allow-origin, --auth-token or --room-secret the relay listens on loopback only, and
    /// behind no --trusted-proxy.
    #[arg(long)]
    pub public: bool,
}

/// What is asked of each client.
#[derive(Debug)]
pub struct Access {
    options: AccessOptions,
    secrets: RwLock<Secrets>,
}

#[derive(Debug)]
struct Secrets {
    token: Option<Token>,
    rooms: Option<RoomSecret>,
}

/// The token for all rooms. Only its hash is kept: so the comparison takes as long for every wrong one.
#[derive(Debug)]
struct Token {
    key: hmac::Key,
    tag: hmac::Tag,
}

/// Which rooms a client may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// All of them.
    Everywhere,
    /// What its token says. Boxed: most connections have none, and every one holds a pass.
    Signed(Box<RoomToken>),
}

/// Why a client may not use the relay. It is told, so that the page's author knows what to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Denied {
    /// The page is of another origin.
    #[error("this relay does not serve pages of this origin")]
    Origin,
    /// It is no page.
    #[error("this relay serves pages only")]
    NoOrigin,
    /// No token was shown.
    #[error("this relay wants a token: name it as wss://.../relay?token=TOKEN")]
    NoToken,
    /// The token is another one, or damaged.
    #[error("the token for this relay is wrong")]
    WrongToken,
    /// The token was good once.
    #[error("the token for this relay has expired")]
    Expired,
    /// The token is for another room.
    #[error("the token for this relay is one for another drive")]
    OtherRoom,
}

impl AccessOptions {
    /// Whether a client has to be or to have anything.
    pub fn is_restricted(&self) -> bool {
        let Self { allow_origin, auth_token, auth_token_file, room_secret, room_secret_file, public: _ } = self;
        let has_token = auth_token.is_some() || auth_token_file.is_some();
        has_token || room_secret.is_some() || room_secret_file.is_some() || !allow_origin.is_empty()
    }
}

/// Who is let in.
impl fmt::Display for AccessOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allow_origin, auth_token, auth_token_file, room_secret, room_secret_file, public: _ } = self;
        let origins: Vec<String> = allow_origin.iter().map(Origin::to_string).collect();
        match origins[..] {
            [] => f.write_str("everybody")?,
            _ => write!(f, "pages of {}", origins.join(", "))?,
        }
        let tokens: Vec<&str> = [
            ("--auth-token", auth_token.is_some()),
            ("--auth-token-file", auth_token_file.is_some()),
            ("--room-secret", room_secret.is_some()),
            ("--room-secret-file", room_secret_file.is_some()),
        ]
        .into_iter()
        .filter_map(|(option, is_given)| is_given.then_some(option))
        .collect();
        if tokens.is_empty() { Ok(()) } else { write!(f, " with a token ({})", tokens.join(", ")) }
    }
}

impl Access {
    /// What `options` ask for; their files are read.
    pub fn new(options: &AccessOptions) -> Result<Self, UnusableSecret> {
        Ok(Self { options: options.clone(), secrets: RwLock::new(Secrets::read(options)?) })
    }

    /// Reads the files of secrets again, for connections to come; `false` if there are none. After an error all is as before.
    pub fn reload(&self) -> Result<bool, UnusableSecret> {
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = Secrets::read(&self.options)?;
        Ok(self.options.auth_token_file.is_some() || self.options.room_secret_file.is_some())
    }

    /// Decides at `now` by the request for a WebSocket. Which rooms are open is asked at the JOIN: [`Pass::check`].
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap, now: SystemTime) -> Result<Pass, Denied> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let wants_token = secrets.token.is_some() || secrets.rooms.is_some();
        check_origin(headers, &self.options.allow_origin, wants_token)?;
        if !wants_token {
            return Ok(Pass::Everywhere);
        }
        let shown = shown_token(uri, headers).ok_or(Denied::NoToken)?;
        if secrets.token.as_ref().is_some_and(|token| token.is(&shown)) {
            return Ok(Pass::Everywhere);
        }
        let signed = secrets.rooms.as_ref().and_then(|secret| secret.verify(&shown));
        let token = signed.ok_or(Denied::WrongToken)?;
        if token.has_expired(now) { Err(Denied::Expired) } else { Ok(Pass::Signed(Box::new(token))) }
    }
}

impl Secrets {
    fn read(options: &AccessOptions) -> Result<Self, UnusableSecret> {
        let read = |option, given: &Option<Secret>, file: &Option<PathBuf>| match (given, file) {
            (Some(secret), _) => Ok(Some(secret.clone())),
            (None, Some(path)) => {
                Secret::read(path).map(Some).map_err(|error| UnusableSecret { option, path: path.clone(), error })
            }
            (None, None) => Ok(None),
        };
        let token = read("--auth-token-file", &options.auth_token, &options.auth_token_file)?;
        let rooms = read("--room-secret-file", &options.room_secret, &options.room_secret_file)?;
        Ok(Self { token: token.as_ref().map(Token::new), rooms: rooms.as_ref().map(RoomSecret::new) })
    }
}

fn check_origin(headers: &HeaderMap, allowed: &[Origin], wants_token: bool) -> Result<(), Denied> {
    if allowed.is_empty() {
        return Ok(());
    }
    let mut named = headers.get_all(header::ORIGIN).iter().peekable();
    if named.peek().is_none() {
        return if wants_token { Ok(()) } else { Err(Denied::NoOrigin) };
    }
    let is_allowed = named.all(|name| allowed.iter().any(|origin| origin.is(name)));
    if is_allowed { Ok(()) } else { Err(Denied::Origin) }
}

impl Pass {
    /// Whether `room` may be joined at `now`, which may be long after it was given.
    pub fn check(&self, room: RoomId, now: SystemTime) -> Result<(), Denied> {
        match self {
            Self::Everywhere => Ok(()),
            Self::Signed(token) if token.has_expired(now) => Err(Denied::Expired),
            Self::Signed(token) if !token.is_for(room) => Err(Denied::OtherRoom),
            Self::Signed(_) => Ok(()),
        }
    }
}

impl Token {
    fn new(secret: &Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { tag: hmac::sign(&key, secret.as_bytes()), key }
    }

    fn is(&self, shown: &str) -> bool {
        hmac::verify(&self.key, shown.as_bytes(), self.tag.as_ref()).is_ok()
    }
}

/// The token in the URL, where some libraries escape `~`, else in the header.
fn shown_token<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    let in_url = uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix(PARAMETER)));
    in_url.map(|token| percent_decode_str(token).decode_utf8_lossy()).or_else(|| {
        let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().into())
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_token_that_expires_between_the_upgrade_and_the_join_opens_nothing() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let secret: Secret = "0123456789abcdef0123456789abcdef".parse().expect("a secret");
        let room = RoomId([7; 32]);
        let token = RoomSecret::new(&secret).sign(&RoomToken::lasting(Some(room), at(100), Duration::from_secs(60)));
        let options = AccessOptions { room_secret: Some(secret), ..AccessOptions::default() };
        let access = Access::new(&options).expect("no file is read");
        let uri: Uri = format!("/relay?token={token}").parse().expect("a URI");
        let pass = access.admit(&uri, &HeaderMap::new(), at(159)).expect("it is good");
        assert_eq!(pass.check(room, at(159)), Ok(()));
        assert_eq!(pass.check(room, at(160)), Err(Denied::Expired));
        assert_eq!(access.admit(&uri, &HeaderMap::new(), at(160)), Err(Denied::Expired));
    }
}
