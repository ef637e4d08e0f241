//! Secrets of the operator: never shown, and none that can be guessed.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

/// The shortest secret, in characters: 32 hex digits are 128 bits.
const SHORTEST: usize = 32;

/// A text that no log and no message shows, and that needs no escape in a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It can be guessed, or can't be in a URL.
    #[error("a secret has at least {SHORTEST} letters, digits, '-', '.', '_' or '~'; openssl rand -hex 32 makes one")]
    Weak,
    /// Its file can't be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

impl Secret {
    /// The secret in a file. Spaces and line breaks around it do not count.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        fs::read_to_string(path)?.trim().parse()
    }

    /// Its characters.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_strong = text.len() >= SHORTEST && text.bytes().all(is_safe);
        if is_strong { Ok(Self(text.to_owned())) } else { Err(SecretError::Weak) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
