//! Finds the names that occur in the objects of a file.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    check::{check_encoding, check_text, is_blank},
    columns::Columns,
    lines::{Lines, Step},
    object::{self, Value},
};
use crate::ingest::{
    error::IngestError,
    options::TableOptions,
    rejects::{Reason, Reject},
    source::Source,
    text::FileText,
};

/// The names in all objects of a file that are accepted as rows, in the order in which they first occur.
///
/// # Errors
/// [`IngestError::Unsupported`] if there are lists or objects in them, [`IngestError::NoObjects`] if there are no names.
pub(crate) fn find_keys(source: &Source, options: &TableOptions) -> Result<Arc<[String]>, IngestError> {
    let path = source.name();
    let mut lines = Lines::new(FileText::open(source, options.encoding)?);
    let mut found = Found::default();
    loop {
        match lines.next()? {
            Step::Line if is_blank(lines.line()) => {}
            Step::Line => {
                if let Err(reason) = found.line(lines.line(), lines.offset(), lines.number())? {
                    let line = lines.number();
                    check_encoding(Reject { line, reason }, options.refused, lines.source().encoding())?;
                    let is_cut = reason
                        == Reason::NotJson {
                            byte: end(lines.line()),
                        };
                    if found.lines == 1 && is_cut {
                        return Err(IngestError::NotText {
                            path: path.to_owned(),
                            what: "JSON that spans lines",
                            remedy: "write each object on a line of its own, with `jq -c . FILE > FILE.ndjson`",
                        });
                    }
                }
            }
            Step::TooLong => found.lines += 1,
            Step::End => break,
        }
    }
    found.finish(source)
}

/// The position behind a line, as [`Reason::NotJson`] counts.
fn end(line: &[u8]) -> usize {
    line.len() + 1
}

#[derive(Default)]
struct Found {
    columns: Columns,
    nested: BTreeMap<usize, &'static str>,
    /// Lines that are not blank.
    lines: u64,
}

impl Found {
    /// Adds the names of a line; the inner result is why the line is refused.
    fn line(&mut self, line: &[u8], offset: u64, number: u64) -> Result<Result<(), Reason>, IngestError> {
        self.lines += 1;
        let mut members = Vec::new();
        let read = check_text(line, offset).and_then(|line| object::read(line, &mut members));
        if let Err(reason) = read.and_then(|()| self.columns.check(&members, number)) {
            return Ok(Err(reason));
        }
        for member in &members {
            let index = self.columns.add(&member.name)?;
            if let Value::Nested(what) = member.value {
                self.nested.entry(index).or_insert(what);
            }
        }
        Ok(Ok(()))
    }

    fn finish(self, source: &Source) -> Result<Arc<[String]>, IngestError> {
        let names = self.columns.names();
        let path = source.name().to_owned();
        if self.lines == 0 {
            return Err(IngestError::Empty { path });
        }
        if names.is_empty() {
            return Err(IngestError::NoObjects { path });
        }
        if self.nested.is_empty() {
            return Ok(names.into());
        }
        let name = |index: usize| names.get(index).cloned().unwrap_or_default();
        let columns = self
            .nested
            .into_iter()
            .map(|(index, what)| (name(index), what))
            .collect();
        Err(IngestError::Unsupported { columns })
    }
}
