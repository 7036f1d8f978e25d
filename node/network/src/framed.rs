//! A stream of frames and chunks with deadlines.
//!
//! Two kinds of traffic share a stream, and the protocol defines which comes when:
//!
//! * *frames*: one CBOR message each, bounded by the message's type ([`concordat_protocol::wire::codec`]);
//! * *chunks*: bulk bytes, a `u32` length of at most [`MAX_CHUNK`] and that many bytes, ended by a length of zero.
//!
//! A peer may be silent for the quiet deadline, but once the first byte of a frame or chunk has arrived, the rest has to follow
//! within the frame deadline. An operation that fails or is dropped halfway leaves the stream out of sync; every later operation
//! then fails, so that the middle of a frame is never interpreted as the start of one.
//!
//! A stream is not split into halves: its owner either sends or receives. Traffic in both directions at once needs
//! two streams, which also avoids multiplexers that lose a wake-up when two tasks share one stream.

use std::{future::Future, io, time::Duration};

use bytes::{Bytes, BytesMut};
use concordat_protocol::wire::codec::{self, Frame, HEADER_LEN, WireError};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::{
    config::Deadlines,
    error::NetworkError,
    session::{Connection, Session},
    streams::StreamPermit,
};

/// Maximum number of bytes in one chunk; longer data is sent as several chunks.
pub const MAX_CHUNK: usize = 1 << 20;

/// How much of a chunk is copied into the buffer of its header, so that no packet contains only four bytes. With the header one Yamux frame.
const HEAD: usize = (16 << 10) - HEADER_LEN;

/// A body is read in steps of this size, so that memory is touched only as bytes arrive.
const STEP: usize = 64 << 10;

/// A stream to or from a peer that carries frames and chunks.
#[derive(Debug)]
pub struct FramedStream<S = libp2p::Stream> {
    io: S,
    session: Session,
    deadlines: Deadlines,
    out_of_sync: bool,
    /// The connection, if the peer has opened the stream.
    connection: Option<Connection>,
    _permit: Option<StreamPermit>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> FramedStream<S> {
    /// Wraps a negotiated stream; an incoming one holds its permit until it is dropped.
    pub(crate) fn new(io: S, session: Session, deadlines: Deadlines, permit: Option<StreamPermit>) -> Self {
        Self {
            io,
            session,
            deadlines,
            out_of_sync: false,
            connection: None,
            _permit: permit,
        }
    }

    /// The same stream, which the peer has opened on `connection`.
    pub(crate) fn over(self, connection: Connection) -> Self {
        Self {
            connection: Some(connection),
            ..self
        }
    }

    /// The connection on which the peer has opened this stream; `None` if this node has opened it.
    pub fn connection(&self) -> Option<Connection> {
        self.connection
    }

    /// The session this stream belongs to: who the peer is, and what it has presented.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Changes the deadlines of the following operations.
    pub fn set_deadlines(&mut self, deadlines: Deadlines) {
        self.deadlines = deadlines;
    }

    /// Sends one frame and everything before it.
    ///
    /// # Errors
    /// If the message is too long, the peer takes too long, or the session is over.
    pub async fn send<F: Frame>(&mut self, message: &F) -> Result<(), NetworkError> {
        let frame = codec::encode(message).map_err(NetworkError::Unsendable)?;
        self.write(&frame, &[], true).await
    }

    /// Receives one frame; `None` if the peer has closed its side.
    ///
    /// # Errors
    /// If the frame is too long or malformed, the peer stalls, or the session is over.
    pub async fn recv<F: Frame>(&mut self) -> Result<Option<F>, NetworkError> {
        let Some((header, deadline)) = self.read_header().await? else {
            return Ok(None);
        };
        let len = codec::frame_len::<F>(header).map_err(NetworkError::Malformed)?;
        let body = self.read_body(len, deadline).await?;
        let message = codec::decode(&body).map_err(NetworkError::Malformed)?;
        self.out_of_sync = false;
        Ok(Some(message))
    }

    /// Receives one frame that must be present.
    ///
    /// # Errors
    /// As [`Self::recv`], and [`NetworkError::Closed`] if the peer has closed its side.
    pub async fn expect<F: Frame>(&mut self) -> Result<F, NetworkError> {
        self.recv().await?.ok_or(NetworkError::Closed)
    }

    /// Sends bulk bytes, in several chunks if necessary. They may stay in buffers until [`Self::end_chunks`].
    ///
    /// # Errors
    /// If the peer takes too long, or the session is over.
    pub async fn send_chunk(&mut self, mut bytes: Bytes) -> Result<(), NetworkError> {
        while !bytes.is_empty() {
            let rest = bytes.split_off(bytes.len().min(MAX_CHUNK));
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let tail = bytes.split_off(bytes.len().min(HEAD));
            let mut head = Vec::with_capacity(HEADER_LEN.saturating_add(bytes.len()));
            head.extend(len.to_be_bytes());
            head.extend_from_slice(&bytes);
            self.write(&head, &tail, false).await?;
            bytes = rest;
        }
        Ok(())
    }

    /// Flushes everything sent so far to the transport.
    ///
    /// # Errors
    /// As [`Self::send_chunk`].
    pub async fn flush(&mut self) -> Result<(), NetworkError> {
        self.write(&[], &[], true).await
    }

    /// Ends the bulk bytes: the next thing on the stream is a frame again.
    ///
    /// # Errors
    /// As [`Self::send_chunk`].
    pub async fn end_chunks(&mut self) -> Result<(), NetworkError> {
        self.write(&[0; HEADER_LEN], &[], true).await
    }

    /// Receives the next bulk bytes; `None` when the peer has ended them.
    ///
    /// # Errors
    /// As [`Self::recv`], and [`NetworkError::Closed`] if the stream ends before the chunks do.
    pub async fn recv_chunk(&mut self) -> Result<Option<Bytes>, NetworkError> {
        let (header, deadline) = self.read_header().await?.ok_or(NetworkError::Closed)?;
        let len = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
        if len > MAX_CHUNK {
            return Err(NetworkError::Malformed(WireError::TooLong { len, max: MAX_CHUNK }));
        }
        let body = self.read_body(len, deadline).await?;
        self.out_of_sync = false;
        Ok((len > 0).then(|| body.freeze()))
    }

    /// Closes this side after everything has been sent; the peer can still send.
    ///
    /// # Errors
    /// As [`Self::send_chunk`].
    pub async fn close(&mut self) -> Result<(), NetworkError> {
        self.begin()?;
        let limit = self.deadlines.frame;
        within(&self.session, Instant::now() + limit, limit, self.io.close()).await?;
        self.out_of_sync = false;
        Ok(())
    }

    async fn write(&mut self, head: &[u8], tail: &[u8], flush: bool) -> Result<(), NetworkError> {
        self.begin()?;
        let io = &mut self.io;
        let all = async {
            io.write_all(head).await?;
            io.write_all(tail).await?;
            if flush { io.flush().await } else { Ok(()) }
        };
        let limit = self.deadlines.frame;
        within(&self.session, Instant::now() + limit, limit, all).await?;
        self.out_of_sync = false;
        Ok(())
    }

    /// The four length bytes and the deadline of the body; leaves the stream marked as out of sync.
    ///
    /// Waiting for the first byte does not consume anything from the stream, so it can be canceled safely.
    async fn read_header(&mut self) -> Result<Option<([u8; HEADER_LEN], Instant)>, NetworkError> {
        self.check()?;
        let mut header = [0; HEADER_LEN];
        let (first, others) = header.split_at_mut(1);
        let quiet = self.deadlines.quiet;
        let got = within(&self.session, Instant::now() + quiet, quiet, self.io.read(first)).await?;
        if got == 0 {
            return Ok(None);
        }
        self.out_of_sync = true;
        let limit = self.deadlines.frame;
        let deadline = Instant::now() + limit;
        within(&self.session, deadline, limit, self.io.read_exact(others)).await?;
        Ok(Some((header, deadline)))
    }

    async fn read_body(&mut self, len: usize, deadline: Instant) -> Result<BytesMut, NetworkError> {
        let read = read_exactly(&mut self.io, len);
        within(&self.session, deadline, self.deadlines.frame, read).await
    }

    fn begin(&mut self) -> Result<(), NetworkError> {
        self.check()?;
        self.out_of_sync = true;
        Ok(())
    }

    fn check(&self) -> Result<(), NetworkError> {
        if self.session.is_cut() {
            return Err(self.session.ended());
        }
        if self.out_of_sync {
            return Err(NetworkError::OutOfSync);
        }
        Ok(())
    }
}

async fn read_exactly<S: AsyncRead + Unpin>(io: &mut S, len: usize) -> io::Result<BytesMut> {
    let mut body = BytesMut::with_capacity(len);
    while body.len() < len {
        let start = body.len();
        body.resize(len.min(start.saturating_add(STEP)), 0);
        io.read_exact(body.get_mut(start..).unwrap_or_default()).await?;
    }
    Ok(body)
}

/// Runs one step of a stream until it is done, the deadline passes or the session is cut, which takes precedence.
async fn within<T>(
    session: &Session,
    deadline: Instant,
    after: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, NetworkError> {
    tokio::select! {
        biased;
        () = session.until_cut() => Err(session.ended()),
        done = tokio::time::timeout_at(deadline, step) => match done {
            Ok(result) => result.map_err(NetworkError::from),
            Err(_) => Err(NetworkError::Stalled { after }),
        },
    }
}

#[cfg(test)]
mod tests;
