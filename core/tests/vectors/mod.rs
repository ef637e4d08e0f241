//! The vectors of the real JavaScript libraries, as `tests/interop/make-vectors.mjs` writes them.

#![allow(dead_code)]

use serde_json::Value;

/// One file of vectors.
pub fn read(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}"))
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The bytes of a hex string.
pub fn bytes(value: &Value) -> Vec<u8> {
    unhex(text(value))
}

/// The bytes of a hex string, empty for `null`.
pub fn bytes_or_none(value: &Value) -> Vec<u8> {
    value.as_str().map(unhex).unwrap_or_default()
}

pub fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap_or_else(|_| panic!("not {N} bytes: {value}"))
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.as_bytes().chunks(2).map(|pair| byte(pair).unwrap_or_else(|_| panic!("no hex: {digits}"))).collect()
}
