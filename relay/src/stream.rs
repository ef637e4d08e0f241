//! A client's connection, with TLS or without. Its bytes are counted as they are on the network.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, split};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::outlet::WriteHalf;
use crate::read_limit::ReadLimit;
use crate::traffic::{Counted, Traffic};

/// What a client's bytes are read from.
pub type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;

/// What HTTP and WebSockets run over.
#[derive(Debug)]
pub enum Stream {
    /// TCP alone.
    Plain(Counted<TcpStream>),
    /// TLS over TCP.
    Tls(Box<TlsStream<Counted<TcpStream>>>),
}

impl Stream {
    /// The counts.
    pub fn traffic(&self) -> Arc<Traffic> {
        match self {
            Self::Plain(stream) => stream.traffic(),
            Self::Tls(stream) => stream.get_ref().0.traffic(),
        }
    }

    /// From now on it is read no faster than `limit` allows.
    pub fn limit_reads(&mut self, limit: ReadLimit) {
        match self {
            Self::Plain(stream) => stream.limit_reads(limit),
            Self::Tls(stream) => stream.get_mut().0.limit_reads(limit),
        }
    }

    /// To be read by one task and written by any.
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Plain(stream) => {
                let (read, write) = stream.split();
                (Box::new(read), Box::new(write))
            }
            Self::Tls(stream) => {
                let (read, write) = split(*stream);
                (Box::new(read), Box::new(write))
            }
        }
    }
}

/// Does the same with the stream, whichever it is.
macro_rules! with_either {
    ($stream:expr, $name:ident => $do:expr) => {
        match $stream.get_mut() {
            Stream::Plain($name) => {
                let $name = Pin::new($name);
                $do
            }
            Stream::Tls($name) => {
                let $name = Pin::new($name.as_mut());
                $do
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with_either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with_either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_either!(self, stream => stream.poll_shutdown(cx))
    }
}
