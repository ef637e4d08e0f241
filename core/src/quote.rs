//! What somebody else wrote, shown to people.

/// `text` in quotes: its first characters, and `�` for what is none that one sees. Rust's own `{:?}` would bring its tables of all of
/// Unicode into the page.
pub fn quoted(text: &str, longest: usize) -> String {
    let shown = text.chars().take(longest).map(|character| if character.is_control() { '\u{fffd}' } else { character });
    std::iter::once('"').chain(shown).chain(std::iter::once('"')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_short_and_moves_no_cursor() {
        assert_eq!(quoted("wss://relay/ö", 100), "\"wss://relay/ö\"");
        assert_eq!(quoted("a\x1b[2J\r\nb", 100), "\"a\u{fffd}[2J\u{fffd}\u{fffd}b\"");
        assert_eq!(quoted(&"ä".repeat(101), 100).chars().count(), 102);
    }
}
