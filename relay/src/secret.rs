//! Secrets of the operator: never shown, and none that can be guessed.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{TypedValueParser, ValueParserFactory};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use thiserror::Error;

/// The shortest secret, in characters: 32 hex digits are 128 bits.
const SHORTEST: usize = 32;

/// A text that no log and no message shows. One of our own needs no escape in a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It can be guessed, or can't be in a URL.
    #[error("a secret has at least {SHORTEST} letters, digits, '-', '.', '_' or '~'; openssl rand -hex 32 makes one")]
    Weak,
    /// It can be guessed, or is more than one word.
    #[error("a secret has at least {SHORTEST} characters of ASCII and no spaces; openssl rand -hex 32 makes one")]
    WeakForeign,
    /// Its file can't be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

/// A secret in a file can't be used.
#[derive(Debug, Error)]
#[error("{option} {}: {error}", path.display())]
pub struct UnusableSecret {
    /// The option that names the file.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub error: SecretError,
}

impl Secret {
    /// The secret in a file. Spaces and line breaks around it do not count.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        fs::read_to_string(path)?.trim().parse()
    }

    /// The secret in a file that another server has too: that one may have characters of more kinds.
    pub fn read_foreign(path: &Path) -> Result<Self, SecretError> {
        let text = fs::read_to_string(path)?;
        let text = text.trim();
        let is_strong = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_strong { Ok(Self(text.to_owned())) } else { Err(SecretError::WeakForeign) }
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

/// Takes a secret from the command line. clap's own parsers repeat a value that they refuse.
#[derive(Clone, Copy, Debug)]
pub struct SecretParser;

impl ValueParserFactory for Secret {
    type Parser = SecretParser;

    fn value_parser() -> SecretParser {
        SecretParser
    }
}

impl TypedValueParser for SecretParser {
    type Value = Secret;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Secret, clap::Error> {
        value.to_str().map_or(Err(SecretError::Weak), str::parse).map_err(|problem| {
            let option = arg.map(ToString::to_string).unwrap_or_default();
            let text = format!("the value of '{option}' can't be used: {problem}\n");
            let mut error = clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command);
            error.insert(ContextKind::InvalidArg, ContextValue::String(option));
            error
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
