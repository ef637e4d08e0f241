//! Options that depend on each other, once all sources are known: which give way to which, and which can't be meant.

use std::collections::BTreeMap;

/// Where the value of an option comes from. A later one goes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `--config FILE`.
    File,
    /// A variable.
    Environment,
    /// A word of the command line.
    CommandLine,
}

/// Options that are on, by name.
pub type Given = BTreeMap<String, Source>;

/// Options that can't be used as they are given.
#[derive(Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Both come from the same source.
    Exclusive(String, &'static str),
    /// The second is missing.
    Needs(String, &'static str),
}

/// Of which only one may be given. One of a lesser source gives way.
const EXCLUSIVE: [(&str, &str); 8] = [
    ("public", "allow-origin"),
    ("public", "auth-token"),
    ("public", "auth-token-file"),
    ("public", "room-secret"),
    ("public", "room-secret-file"),
    ("auth-token", "auth-token-file"),
    ("room-secret", "room-secret-file"),
    ("room", "drive"),
];
/// The first is part of the second: if that comes from a higher source, it gives way; otherwise both are meant.
const PART: [(&str, &str); 1] = [("port", "listen")];
/// The first is nothing without the second.
const NEEDS: [(&str, &str); 7] = [
    ("room-burst", "room-rate"),
    ("total-burst", "total-rate"),
    ("tls-cert", "tls-key"),
    ("tls-key", "tls-cert"),
    ("turn", "turn-secret"),
    ("turn-secret", "turn"),
    ("turn-time", "turn"),
];

/// Leaves those options in `given` that count. What gave way makes nothing else give way.
pub fn settle(given: &mut Given) -> Result<(), Contradiction> {
    for source in [Source::CommandLine, Source::Environment, Source::File] {
        let higher = given.iter().filter(|(_, other)| **other > source);
        let higher: Vec<String> = higher.map(|(name, _)| name.clone()).collect();
        given.retain(|name, of| *of != source || !higher.iter().any(|other| gives_way(name, other)));
    }
    let has = |name: &str| given.contains_key(name);
    let exclusive = EXCLUSIVE.into_iter().find(|(first, second)| has(first) && has(second));
    if let Some((first, second)) = exclusive {
        return Err(Contradiction::Exclusive(first.to_owned(), second));
    }
    match NEEDS.into_iter().find(|(first, second)| has(first) && !has(second)) {
        Some((first, second)) => Err(Contradiction::Needs(first.to_owned(), second)),
        None => Ok(()),
    }
}

fn gives_way(name: &str, higher: &str) -> bool {
    let is_exclusive = EXCLUSIVE.iter().any(|pair| [(name, higher), (higher, name)].contains(pair));
    is_exclusive || PART.contains(&(name, higher))
}

#[cfg(test)]
mod tests {
    use super::Source::{CommandLine, Environment, File};
    use super::*;

    fn settled(given: &[(&str, Source)]) -> Result<String, Contradiction> {
        let mut given = given.iter().map(|(name, source)| ((*name).to_owned(), *source)).collect();
        settle(&mut given)?;
        Ok(given.into_keys().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_higher_source_goes_before() {
        for (given, left) in [
            (&[("public", CommandLine), ("allow-origin", File)][..], "public"),
            (&[("public", File), ("allow-origin", Environment), ("auth-token", File)], "allow-origin auth-token"),
            (&[("auth-token", CommandLine), ("auth-token-file", Environment)], "auth-token"),
            (&[("listen", CommandLine), ("port", File)], "listen"),
            (&[("listen", File), ("port", Environment)], "listen port"),
            (&[("listen", File), ("port", File)], "listen port"),
            (&[("room-burst", CommandLine), ("room-rate", File)], "room-burst room-rate"),
        ] {
            assert_eq!(settled(given).as_deref(), Ok(left), "{given:?}");
        }
    }

    #[test]
    fn what_gave_way_takes_no_lock_off_the_door() {
        let given = [("auth-token-file", CommandLine), ("public", Environment), ("allow-origin", File)];
        assert_eq!(settled(&given).as_deref(), Ok("allow-origin auth-token-file"));
    }

    #[test]
    fn what_one_source_says_twice_or_by_half_is_refused() {
        for source in [File, Environment, CommandLine] {
            let both = settled(&[("public", source), ("room-secret", source)]);
            assert_eq!(both, Err(Contradiction::Exclusive("public".to_owned(), "room-secret")));
            for (alone, missing) in NEEDS {
                assert_eq!(settled(&[(alone, source)]), Err(Contradiction::Needs(alone.to_owned(), missing)));
            }
        }
    }
}
