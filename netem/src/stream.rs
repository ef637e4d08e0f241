//! A secret stream with a mux, as npm's libraries run them in a process that holds the drive.

use std::collections::VecDeque;

use peersockets_core::channel::hypercore::{self, EXTENSION, Extensions, Received};
use peersockets_core::conversation::Established;
use peersockets_core::drive::DriveKey;
use peersockets_core::error::LinkError;
use peersockets_core::limits;
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use peersockets_core::wire::encoding::Encode;
use peersockets_core::wire::mux::{ChannelId, Mux, MuxEvent};

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Peersockets,
    Drive,
    /// Another core of the same store.
    Blobs,
}

/// What was heard on a stream.
#[derive(Debug, PartialEq)]
pub enum Sign {
    Session(Established),
    Opened(Channel, Vec<u8>),
    Closed(Channel),
    Message(Channel, u64, Vec<u8>),
}

pub struct Stream {
    secure: Secure,
    mux: Mux,
    channels: Vec<(ChannelId, Channel)>,
    signs: VecDeque<Sign>,
    /// The frame that came right behind the handshake.
    first_frame: Option<Vec<u8>>,
    has_session: bool,
    /// Whether it got something that cannot be read.
    pub is_broken: bool,
}

impl Stream {
    /// A stream of a process with this key. Each has a number of its own.
    pub fn new(role: Role, key: &DeviceKey, number: u32) -> Self {
        let mut entropy = Entropy { ephemeral: [0x57; 32], header: [0x57; 24] };
        entropy.ephemeral[..4].copy_from_slice(&number.to_le_bytes());
        entropy.header[..4].copy_from_slice(&number.to_le_bytes());
        Self {
            secure: Secure::new(role, key, entropy),
            mux: Mux::default(),
            channels: Vec::new(),
            signs: VecDeque::new(),
            first_frame: None,
            has_session: false,
            is_broken: false,
        }
    }

    pub fn read(&mut self, bytes: &[u8]) {
        self.secure.handle_bytes(bytes);
    }

    /// Takes what it wrote.
    pub fn written(&mut self) -> Vec<u8> {
        while let Some(frame) = self.mux.poll_frame() {
            assert!(self.secure.seal(frame), "nothing is written before the handshake is complete");
        }
        self.secure.take_output(usize::MAX)
    }

    /// The next thing that it heard: those of one frame are there before the next frame is looked at.
    pub fn next_sign(&mut self) -> Option<Sign> {
        let read = self.read_sign();
        self.is_broken |= read.is_err();
        read.unwrap_or_default()
    }

    fn read_sign(&mut self) -> Result<Option<Sign>, LinkError> {
        loop {
            if let Some(sign) = self.signs.pop_front() {
                return Ok(Some(sign));
            }
            let frame = match self.first_frame.take() {
                None => self.secure.poll_frame(limits::UINT24)?,
                first => first,
            };
            if let (false, Some(remote), Some(hash)) =
                (self.has_session, self.secure.remote(), self.secure.handshake_hash())
            {
                self.has_session = true;
                self.first_frame = frame;
                return Ok(Some(Sign::Session(Established { remote, role: self.role(), handshake_hash: *hash })));
            }
            let Some(frame) = frame else {
                return Ok(None);
            };
            let Self { mux, channels, signs, .. } = self;
            let channel = |id| channels.iter().find(|(channel, _)| *channel == id).expect("a channel of ours").1;
            mux.handle_frame(&frame, &mut |event| {
                signs.push_back(match event {
                    MuxEvent::Opened { channel: id, handshake } => Sign::Opened(channel(id), handshake.to_vec()),
                    MuxEvent::Closed { channel: id } => Sign::Closed(channel(id)),
                    MuxEvent::Message { channel: id, kind, payload } => {
                        Sign::Message(channel(id), kind, payload.to_vec())
                    }
                });
                Ok(())
            })?;
        }
    }

    /// The handshake hash, once there is one.
    pub fn hash(&self) -> [u8; 64] {
        *self.secure.handshake_hash().expect("its handshake is complete")
    }

    pub fn role(&self) -> Role {
        self.secure.role()
    }

    pub fn open(&mut self, channel: Channel, protocol: &str, id: &[u8], handshake: &[u8]) {
        let id = self.mux.open(protocol, id, handshake).expect("it is not open");
        self.channels.retain(|(other, _)| *other != id);
        self.channels.push((id, channel));
    }

    /// Opens `hypercore/alpha` of a drive and of its blobs, in one frame, as a corestore does.
    pub fn replicate(&mut self, drive: &DriveKey) {
        let hash = self.hash();
        let blobs = DriveKey::from_bytes([0xb1; 32]);
        for (channel, core) in [(Channel::Drive, drive), (Channel::Blobs, &blobs)] {
            let handshake = hypercore::open_handshake(core, self.role(), &hash);
            self.open(channel, hypercore::PROTOCOL, &core.discovery_key(), &handshake);
        }
        let mut batch = vec![0, 0, 0];
        while let Some(frame) = self.mux.poll_frame() {
            batch.put_buffer(&frame[1..]);
        }
        assert!(self.secure.seal(batch));
    }

    /// Says anything.
    pub fn say(&mut self, frame: &[u8]) {
        assert!(self.secure.seal(frame.to_vec()));
    }

    pub fn send(&mut self, channel: Channel, kind: u64, payload: &[u8]) {
        self.mux.send(self.id(channel), kind, payload);
    }

    fn id(&self, channel: Channel) -> ChannelId {
        self.channels.iter().rev().find(|(_, other)| *other == channel).expect("it was opened").0
    }
}

/// A process that replicates a drive and knows nothing of us but the names of extensions.
pub struct Plain {
    stream: Stream,
    drive: DriveKey,
    extensions: Extensions,
    /// Whether the remote has the drive open too.
    is_replicating: bool,
    /// The messages that came: topics and bytes.
    pub heard: Vec<(String, Vec<u8>)>,
}

impl Plain {
    pub fn new(role: Role, key: &DeviceKey, number: u32, drive: DriveKey) -> Self {
        let stream = Stream::new(role, key, number);
        Self { stream, drive, extensions: Extensions::default(), is_replicating: false, heard: Vec::new() }
    }

    /// Reads bytes and does what follows.
    pub fn read(&mut self, bytes: &[u8]) {
        self.stream.read(bytes);
        while let Some(sign) = self.stream.next_sign() {
            match sign {
                Sign::Session(_) => self.stream.replicate(&self.drive),
                Sign::Opened(Channel::Drive, handshake) => {
                    let (role, hash) = (self.stream.role().other(), self.stream.hash());
                    hypercore::verify_open(&handshake, &self.drive, role, &hash).expect("it has the drive");
                    self.is_replicating = true;
                    // It has nine blocks.
                    self.stream.send(Channel::Drive, hypercore::SYNC, &[7, 0, 9, 0]);
                }
                Sign::Closed(Channel::Drive) => self.is_replicating = false,
                Sign::Message(Channel::Drive, EXTENSION, payload) => {
                    let read = self.extensions.read(EXTENSION, &payload).expect("a well-formed extension");
                    if let Some(Received::Message { topic, bytes }) = read {
                        self.heard.push((topic.to_string(), bytes.to_vec()));
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends a message as an extension.
    pub fn extend(&mut self, topic: &str, message: &[u8]) {
        assert!(self.is_replicating, "nobody is there who has the drive");
        let payload = self.extensions.write(&topic.into(), message);
        self.stream.send(Channel::Drive, EXTENSION, &payload);
    }

    /// Says anything.
    pub fn say(&mut self, frame: &[u8]) {
        self.stream.say(frame);
    }

    pub fn written(&mut self) -> Vec<u8> {
        self.stream.written()
    }
}
