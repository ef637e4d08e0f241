//! Bytes that were written to a socket and have not left it.

use crate::limits;

/// Bytes written to a socket, and how they leave it.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Those that have not left it.
    pub waiting: usize,
    /// The same as it was heard last, before what was written since.
    heard: usize,
    written: u64,
    gone: u64,
    /// Whether bytes have left it of late, and others waited for them.
    moves: bool,
}

impl Buffer {
    /// So many bytes are written.
    pub fn write(&mut self, bytes: usize) {
        self.waiting += bytes;
        self.written += bytes as u64;
    }

    /// Bytes that have left it in all, as far as is known.
    pub fn gone(&self) -> u64 {
        self.gone
    }

    /// So many bytes wait in it now.
    pub fn hear(&mut self, waiting: usize) {
        let gone = self.written.saturating_sub(waiting as u64);
        self.moves |= gone > self.gone && self.heard.max(waiting) >= limits::SOCKET_BUSY;
        self.gone = self.gone.max(gone);
        self.heard = waiting;
        self.waiting = waiting;
    }

    /// Whether, since this was asked last, bytes have left it for which others waited: what was written then may not have left yet.
    pub fn take_moves(&mut self) -> bool {
        std::mem::take(&mut self.moves)
    }
}
