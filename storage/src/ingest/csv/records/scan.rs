//! The scan of one record, byte by byte: where its fields end, and what speaks against it.

use crate::ingest::{
    csv::{swallowed::Span, syntax::Syntax},
    limits::{MAX_COLUMNS, MAX_FIELD_BYTES, MAX_QUOTED_BYTES, MAX_QUOTED_LINES, MAX_RECORD_BYTES},
    rejects::Reason,
    row::{FIELD_END, Row},
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteClosed,
}

/// The state of the scan of one record.
pub(super) struct Scan {
    pub(super) state: State,
    pub(super) at: usize,
    pub(super) line: u64,
    field_at: usize,
    pub(super) field_line: u64,
    /// The start of the line below the one where the quote opened, once the field has reached it.
    pub(super) next_line: Option<(usize, u64)>,
    pub(super) quoted: bool,
    pub(super) refused: Option<Reason>,
    /// The fields in quotes that span lines.
    pub(super) spans: Vec<Span>,
}

/// The result of one advance of the scan.
pub(super) enum Found {
    More,
    LineEnd,
    Unclosed,
}

impl Scan {
    pub(super) fn new(line: u64) -> Self {
        Self {
            state: State::FieldStart,
            at: 0,
            line,
            field_at: 0,
            field_line: line,
            next_line: None,
            quoted: false,
            refused: None,
            spans: Vec::new(),
        }
    }

    /// Consumes a run of ordinary bytes, or one special byte, from `pending`, which has bytes at `self.at`.
    pub(super) fn advance(&mut self, pending: &[u8], syntax: Syntax, text: &mut Vec<u8>, row: &mut Row) -> Found {
        let delimiter = syntax.separator();
        let rest = pending.get(self.at..).unwrap_or_default();
        let Some(byte) = rest.first().copied() else {
            return Found::More;
        };
        match self.state {
            State::Quoted => return self.quoted(rest, byte, text),
            State::FieldStart if byte == b'"' && syntax.quotes => {
                self.at += 1;
                self.quoted = true;
                self.state = State::Quoted;
            }
            State::QuoteClosed if byte == b'"' => {
                self.at += 1;
                text.push(byte);
                self.state = State::Quoted;
            }
            State::FieldStart | State::Plain | State::QuoteClosed if byte == delimiter => {
                self.at += 1;
                self.end_field(text, row);
            }
            State::FieldStart | State::Plain | State::QuoteClosed if matches!(byte, b'\n' | b'\r') => {
                self.at += 1;
                self.end_field(text, row);
                return Found::LineEnd;
            }
            State::QuoteClosed if self.next_line.is_some() => return Found::Unclosed,
            State::QuoteClosed => {
                self.refused
                    .get_or_insert(Reason::TextAfterQuote { field: row.width + 1 });
                self.state = State::Plain;
            }
            State::FieldStart | State::Plain => {
                self.state = State::Plain;
                let run = rest
                    .iter()
                    .position(|byte| *byte == delimiter || matches!(*byte, b'\n' | b'\r'));
                self.copy(rest, run.unwrap_or(rest.len()), text);
            }
        }
        Found::More
    }

    fn quoted(&mut self, rest: &[u8], byte: u8, text: &mut Vec<u8>) -> Found {
        match byte {
            b'"' => {
                self.at += 1;
                self.state = State::QuoteClosed;
            }
            b'\n' => {
                self.copy(rest, 1, text);
                self.line += 1;
                self.next_line.get_or_insert((self.at, self.line));
            }
            _ => {
                let run = rest.iter().position(|byte| matches!(*byte, b'"' | b'\n'));
                self.copy(rest, run.unwrap_or(rest.len()), text);
            }
        }
        if self.next_line.is_some() && self.at - self.field_at > MAX_FIELD_BYTES {
            Found::Unclosed
        } else {
            Found::More
        }
    }

    fn copy(&mut self, rest: &[u8], len: usize, text: &mut Vec<u8>) {
        text.extend_from_slice(rest.get(..len).unwrap_or_default());
        self.at += len;
    }

    pub(super) fn end_field(&mut self, text: &mut Vec<u8>, row: &mut Row) {
        let too_long = self.line - self.field_line > MAX_QUOTED_LINES || self.at - self.field_at > MAX_QUOTED_BYTES;
        if self.next_line.is_some() && too_long {
            self.refused
                .get_or_insert(Reason::QuotedTooLong { field: row.width + 1 });
        }
        row.width += 1;
        self.spans.extend(self.next_line.map(|(next_line, _)| Span {
            field: row.width,
            from: self.field_at,
            to: self.at,
            line: self.field_line,
            next_line,
        }));
        if row.width <= MAX_COLUMNS {
            row.ends.push(text.len());
        }
        text.push(FIELD_END);
        self.state = State::FieldStart;
        self.field_at = self.at;
        self.field_line = self.line;
        self.next_line = None;
    }

    pub(super) fn over_limit(&self, fields_before: usize) -> Option<Reason> {
        if self.state == State::Quoted && self.next_line.is_some() {
            // Whether it is too long or not closed is known at its end.
            return None;
        }
        if self.at - self.field_at > MAX_FIELD_BYTES {
            return Some(Reason::FieldTooLong {
                field: fields_before + 1,
            });
        }
        (self.at > MAX_RECORD_BYTES).then_some(Reason::RowTooLong)
    }
}
