//! Frames between the node and an engine process: a length, a kind, a body.
//!
//! The header has eight bytes, so that a body is aligned like the rows in it, which are then not copied.

use std::{
    io::{self, IoSlice},
    iter,
};

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
    /// To the child: a query whose cells the node decides about.
    Cells,
    /// From the child: the groupings of the query.
    Statistic,
    /// To the child: which grouping is computed.
    Compute,
    /// From the child: a cell.
    Cell,
    /// From the child: there are no more cells. To the child: no more cells are needed.
    CellsDone,
    /// To the child: rows. From the child: their subjects.
    Owners,
    /// To a child that sees no rows: what is computed of released cells.
    Above,
    /// To a child that sees rows of reference datasets only: lists of codes. From the child: the codes of one list.
    Lists,
}

impl Kind {
    const ALL: [Self; 18] = [
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
        Self::Cells,
        Self::Statistic,
        Self::Compute,
        Self::Cell,
        Self::CellsDone,
        Self::Owners,
        Self::Above,
        Self::Lists,
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
    send_parts(to, kind, &[head, rest]).await
}

/// Sends one frame whose body is `parts`, one after the other. They are not copied, and the header is sent together with them.
///
/// # Errors
/// As [`send`].
pub(super) async fn send_parts<W: AsyncWrite + Unpin>(to: &mut W, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    let length = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    let header = header(kind, length)?;
    let all = iter::once(header.as_slice()).chain(parts.iter().copied());
    let mut slices: Vec<IoSlice<'_>> = all.map(IoSlice::new).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        let written = to.write_vectored(left).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

fn header(kind: Kind, length: usize) -> io::Result<[u8; HEADER]> {
    let short = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let length = short.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let [a, b, c, d] = length.to_le_bytes();
    Ok([a, b, c, d, kind.byte(), 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

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

    /// Accepts a few bytes at a time, from one part or several.
    #[derive(Default)]
    struct Narrow {
        most: usize,
        written: Vec<u8>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let accepted = bytes.len().min(self.most);
            self.written.extend_from_slice(&bytes[..accepted]);
            Poll::Ready(Ok(accepted))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let accepted = bytes.len().min(self.most);
            self.written.extend_from_slice(&bytes[..accepted]);
            Poll::Ready(Ok(accepted))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn frame_is_whole_however_few_bytes_are_accepted() {
        let parts: [&[u8]; 5] = [b"", b"abc", b"", b"defgh", b""];
        for most in 1..20 {
            let mut to = Narrow {
                most,
                ..Narrow::default()
            };
            send_parts(&mut to, Kind::Data, &parts).await.unwrap();
            send_parts(&mut to, Kind::Done, &[]).await.unwrap();
            let frames = read(to.written).await.unwrap();
            assert_eq!(
                frames,
                [(Kind::Data, Bytes::from("abcdefgh")), (Kind::Done, Bytes::new())]
            );
        }
        let ended = send_parts(&mut Narrow::default(), Kind::Done, &[]).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::WriteZero);
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
