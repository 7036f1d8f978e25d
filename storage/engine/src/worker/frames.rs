//! Frames between the node and an engine process: a length, a kind, a body.
//!
//! The header has eight bytes, so that a body is aligned like the rows in it, which are then not copied.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Maximum length of a frame's body, in bytes.
pub(super) const MAX_FRAME: usize = 64 << 20;
/// A length of 32 bits, a kind of 8, and zeros.
const HEADER: usize = 8;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the child: the query.
    Task,
    /// To the child: requested bytes of an object.
    Data,
    /// To the child: why the bytes cannot be read.
    ReadFailed,
    /// From the child: which bytes it needs.
    ReadRequest,
    /// From the child: the columns of the answer.
    Columns,
    /// From the child: rows.
    Rows,
    /// From the child: the answer is complete.
    Done,
    /// From the child: why the answer failed.
    Failed,
    /// To the child: a computation for the people of this institution.
    Begin,
    /// In both directions: a message of a computation.
    Message,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Task,
        Self::Data,
        Self::ReadFailed,
        Self::ReadRequest,
        Self::Columns,
        Self::Rows,
        Self::Done,
        Self::Failed,
        Self::Begin,
        Self::Message,
    ];

    fn byte(self) -> u8 {
        let index = Self::ALL.iter().position(|kind| *kind == self);
        index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX)
    }

    fn of(byte: u8) -> io::Result<Self> {
        let kind = Self::ALL.get(usize::from(byte)).copied();
        kind.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }
}

/// Reads incoming frames.
#[derive(Debug)]
pub(super) struct Frames<R> {
    inner: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: BytesMut::new(),
        }
    }

    /// The next frame; `None` at the end. Cancel-safe: no bytes are lost if the future is dropped.
    ///
    /// # Errors
    /// Errors of the socket, and a frame that is too long, truncated or of an unknown kind.
    pub(super) async fn next(&mut self) -> io::Result<Option<(Kind, Bytes)>> {
        loop {
            if let Some(frame) = self.whole()? {
                return Ok(Some(frame));
            }
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                let cut_off = !self.buffer.is_empty();
                return if cut_off {
                    Err(io::ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(None)
                };
            }
        }
    }

    fn whole(&mut self) -> io::Result<Option<(Kind, Bytes)>> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else {
            self.buffer.reserve(HEADER);
            return Ok(None);
        };
        let [length @ .., kind, 0, 0, 0] = *header else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let kind = Kind::of(kind)?;
        let missing = length.saturating_sub(rest.len());
        if missing > 0 {
            self.buffer.reserve(missing);
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Ok(Some((kind, self.buffer.split_to(length).freeze())))
    }
}

/// Sends one frame whose body is `head` and `rest`.
///
/// # Errors
/// Errors of the socket, and a body that is too long.
pub(super) async fn send<W: AsyncWrite + Unpin>(to: &mut W, kind: Kind, head: &[u8], rest: &[u8]) -> io::Result<()> {
    let length = head.len().saturating_add(rest.len());
    let short = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let length = short.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut first = Vec::with_capacity(HEADER.saturating_add(head.len()));
    first.extend(length.to_le_bytes());
    first.extend([kind.byte(), 0, 0, 0]);
    first.extend_from_slice(head);
    to.write_all(&first).await?;
    to.write_all(rest).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: Vec<u8>) -> io::Result<Vec<(Kind, Bytes)>> {
        let mut frames = Frames::new(bytes.as_slice());
        let mut all = Vec::new();
        while let Some(frame) = frames.next().await? {
            all.push(frame);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent() {
        let mut bytes = Vec::new();
        send(&mut bytes, Kind::Rows, b"ab", b"cde").await.unwrap();
        send(&mut bytes, Kind::Done, &[], &[]).await.unwrap();
        let frames = read(bytes).await.unwrap();
        assert_eq!(frames, [(Kind::Rows, Bytes::from("abcde")), (Kind::Done, Bytes::new())]);
    }

    #[tokio::test]
    async fn invalid_frame_allocates_no_memory_and_is_an_error() {
        for bytes in [
            vec![0xff; 9],
            vec![0, 0, 0, 0, 99, 0, 0, 0],
            vec![0, 0, 0, 0, 0, 0, 0, 1],
            vec![4, 0, 0, 0, 0, 0, 0, 0, 1],
            vec![1, 2],
        ] {
            assert!(read(bytes).await.is_err());
        }
    }
}
