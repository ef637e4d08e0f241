//! What somebody else wrote, or what is not for everybody, shown to people.

/// `text` in quotes: its first characters, and `�` for what is none that one sees. Rust's own `{:?}` would bring its tables of all of
/// Unicode into the page.
pub fn quoted(text: &str, longest: usize) -> String {
    let shown = text.chars().take(longest).map(|character| if character.is_control() { '\u{fffd}' } else { character });
    std::iter::once('"').chain(shown).chain(std::iter::once('"')).collect()
}

/// A relay's URL without the token in its query, which is a secret of whoever names the relay.
pub fn without_token(url: &str) -> String {
    let Some((before, query)) = url.split_once('?') else { return url.into() };
    let (query, fragment) = query.split_at(query.find('#').unwrap_or(query.len()));
    let mut shown = String::from(before);
    for (index, pair) in query.split('&').enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(if pair.starts_with("token=") { "token=…" } else { pair });
    }
    shown + fragment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        for (url, shown) in [
            ("wss://relay/relay", "wss://relay/relay"),
            ("wss://relay/relay?token=secret", "wss://relay/relay?token=…"),
            ("wss://relay/relay?a=1&token=secret&b=token", "wss://relay/relay?a=1&token=…&b=token"),
            ("wss://relay/relay?token=secret&token=two#there", "wss://relay/relay?token=…&token=…#there"),
            ("wss://relay/token=1?", "wss://relay/token=1?"),
        ] {
            assert_eq!(without_token(url), shown);
        }
    }

    #[test]
    fn what_is_quoted_is_short_and_moves_no_cursor() {
        assert_eq!(quoted("wss://relay/ö", 100), "\"wss://relay/ö\"");
        assert_eq!(quoted("a\x1b[2J\r\nb", 100), "\"a\u{fffd}[2J\u{fffd}\u{fffd}b\"");
        assert_eq!(quoted(&"ä".repeat(101), 100).chars().count(), 102);
    }
}
