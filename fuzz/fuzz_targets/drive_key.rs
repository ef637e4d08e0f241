//! Any text: a drive key reads the same in every way to write it, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::drive::DriveKey;

fuzz_target!(|text: &str| {
    let Ok(key) = DriveKey::parse(text) else {
        return;
    };
    let digits: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = text.trim();
    for same in [
        digits.clone(),
        format!("hyper://{digits}"),
        text.to_ascii_uppercase(),
        format!("\t{text} "),
        format!("{text}/a/path"),
        format!("{text}?query"),
        format!("{text}#fragment"),
    ] {
        assert_eq!(DriveKey::parse(&same).as_ref(), Ok(&key), "{same:?}");
    }
});
