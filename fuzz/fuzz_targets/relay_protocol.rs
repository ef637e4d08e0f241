//! One WebSocket message, read as a relay and as a page reads it: what was read is written and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::error::WireError;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, ToRelay};

fuzz_target!(|message: &[u8]| {
    if let Ok(frame) = ToRelay::decode(message) {
        let mut written = Vec::new();
        frame.encode(&mut written);
        assert_eq!(ToRelay::decode(&written).as_ref(), Ok(&frame));
        assert!(written.len() <= message.len(), "we write the shortest form");
        if !matches!(frame, ToRelay::Data(..) | ToRelay::LastWords(..)) {
            written.push(0);
            assert_eq!(ToRelay::decode(&written), Err(WireError::TrailingBytes));
        }
    }
    if let Ok(Some(frame)) = FromRelay::decode(message) {
        let mut written = Vec::new();
        frame.encode(&mut written);
        if let FromRelay::Welcome { present, .. } = &frame {
            assert!(present.len() <= limits::ROOM);
        }
        if let FromRelay::IceServers(servers) = &frame {
            let texts = servers.iter().flat_map(|server| [&server.url, &server.username, &server.credential]);
            assert!(servers.len() <= limits::ICE_SERVERS);
            assert!(texts.into_iter().all(|text| text.len() <= limits::ICE_SERVER_TEXT));
        }
        assert_eq!(FromRelay::decode(&written), Ok(Some(frame)));
        assert!(written.len() <= message.len(), "we write the shortest form");
    }
});
