//! Splits text into lines, with bounded memory.

use std::ops::Range;

use memchr::memchr;

use crate::ingest::{error::IngestError, limits::MAX_RECORD_BYTES, text::TextSource};

/// The result of [`Lines::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A line; [`Lines::line`] has its bytes.
    Line,
    /// A line longer than [`MAX_RECORD_BYTES`], which was skipped.
    TooLong,
    /// The end of the text.
    End,
}

/// A reader of lines.
pub(super) struct Lines<S> {
    source: S,
    window: Vec<u8>,
    /// The current line in the window, without its end.
    line: Range<usize>,
    /// Where the next line begins in the window.
    next: usize,
    number: u64,
    /// Bytes of the text before the window.
    before: u64,
    ended: bool,
}

impl<S: TextSource> Lines<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            window: Vec::new(),
            line: 0..0,
            next: 0,
            number: 0,
            before: 0,
            ended: false,
        }
    }

    pub(super) fn source(&self) -> &S {
        &self.source
    }

    pub(super) fn into_source(self) -> S {
        self.source
    }

    /// The bytes of the current line.
    pub(super) fn line(&self) -> &[u8] {
        self.window.get(self.line.clone()).unwrap_or_default()
    }

    /// The number of the current line, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where the current line begins in the text.
    pub(super) fn offset(&self) -> u64 {
        self.before + self.line.start as u64
    }

    /// Reads the next line.
    pub(super) fn next(&mut self) -> Result<Step, IngestError> {
        self.compact();
        self.number += 1;
        let start = self.next;
        let mut searched = start;
        loop {
            let rest = self.window.get(searched..).unwrap_or_default();
            if let Some(found) = memchr(b'\n', rest) {
                let end = searched + found;
                self.next = end + 1;
                return Ok(self.found(start..end));
            }
            searched = self.window.len();
            if searched - start > MAX_RECORD_BYTES {
                self.skip_line(start)?;
                return Ok(Step::TooLong);
            }
            if !self.more()? {
                self.next = self.window.len();
                let ended = start == self.next;
                return Ok(if ended { Step::End } else { self.found(start..self.next) });
            }
        }
    }

    fn found(&mut self, line: Range<usize>) -> Step {
        self.line = line;
        if self.line.len() > MAX_RECORD_BYTES {
            Step::TooLong
        } else {
            Step::Line
        }
    }

    /// Reads up to the end of the line that begins at `start` without storing it.
    fn skip_line(&mut self, start: usize) -> Result<(), IngestError> {
        self.line = start..start;
        loop {
            self.next = self.window.len();
            self.compact();
            if !self.more()? {
                return Ok(());
            }
            let read = self.window.get(self.next..).unwrap_or_default();
            if let Some(found) = memchr(b'\n', read) {
                self.next += found + 1;
                return Ok(());
            }
        }
    }

    fn more(&mut self) -> Result<bool, IngestError> {
        while !self.ended {
            let before = self.window.len();
            self.ended = !self.source.fill(&mut self.window)?;
            if self.window.len() > before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Frees the read part of the window once it is more than half.
    fn compact(&mut self) {
        if self.next > self.window.len() / 2 {
            self.window.drain(..self.next);
            self.before += self.next as u64;
            self.next = 0;
            self.line = 0..0;
        }
    }
}
