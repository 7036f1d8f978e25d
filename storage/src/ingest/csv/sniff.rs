//! Detects a file's delimiter and whether its first line has column names, from a sample of its start.
//!
//! The delimiter is the candidate under which the first line has as many fields as most lines have, most lines agree,
//! and there are most fields. Whether the first line has names is decided by [`super::header`].
//!
//! A file whose first line does not match the lines below it has another layout, which is named ([`super::layout_advice`]). What can only have
//! one meaning is read as meant, with a note: a line that states the delimiter (`sep=;`), a line of dashes below the names, and a delimiter at
//! the end of rows that the header does not have.

use super::header::{HeaderFound, guess_header, is_second_header};
use super::layout_advice;
use super::sample::{Sample, Score, sample};
use super::syntax::{Delimiter, Syntax};
use crate::ingest::{
    error::IngestError,
    format::Numbering,
    notation::DecimalSign,
    options::{Header, TableOptions},
    source::Source,
    text::{FileText, TextSource},
};

/// Maximum length of the sample, in bytes.
const SAMPLE_BYTES: usize = 256 * 1024;
/// Most records above a table that are taken for titles.
const MAX_TITLES: usize = 20;
/// Delimiters that are tried, the most common first; the comma is the first of them.
const CANDIDATES: [u8; 6] = [b',', b';', b'\t', b'|', b'^', b'~'];

/// The layout of a file's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) syntax: Syntax,
    pub(crate) header: HeaderFound,
    /// Fields on most of the lines.
    pub(crate) width: usize,
    /// Whether the first line states the delimiter and is left out.
    pub(super) has_separator_line: bool,
    /// Whether rows end with a delimiter that the header does not have.
    pub(super) has_trailing_delimiters: bool,
    /// The line below the header, if it looks like a second one.
    pub(super) second_header: Option<u64>,
}

/// A delimiter, and what a text is with it.
struct Guess {
    score: Score,
    syntax: Syntax,
    sample: Sample,
}

/// A text from the start of a file, with what the steward states about it.
struct Text<'a> {
    bytes: &'a [u8],
    /// Whether it is the whole file.
    whole: bool,
    options: &'a TableOptions,
    /// The delimiter that is stated.
    stated: Option<Delimiter>,
}

/// Detects what the options do not specify.
pub(crate) fn sniff(source: &Source, options: &TableOptions) -> Result<Layout, IngestError> {
    let mut source = FileText::open(source, options.encoding)?;
    let mut bytes = Vec::new();
    let mut whole = false;
    while !whole && bytes.len() < SAMPLE_BYTES {
        whole = !source.fill(&mut bytes)?;
    }
    let by_file = layout_advice::stated_by_file(&bytes).filter(|_| options.skip_lines == 0);
    let text = Text {
        bytes: &bytes,
        whole,
        options,
        stated: options.delimiter.or(by_file),
    };
    let syntax = Syntax {
        delimiter: Delimiter::Byte(b','),
        quotes: options.quotes,
        trusts_quotes: options.quotes_are_stated,
        comment: options.comment,
        skip_lines: options.skip_lines + u64::from(by_file.is_some()),
    };
    text.check_comments(syntax)?;
    let layout = text.layout(text.best(text.bytes, syntax)?)?;
    Ok(Layout {
        has_separator_line: by_file.is_some(),
        ..layout
    })
}

impl Text<'_> {
    /// The delimiters that are tried. Of two that match alike the first is taken, which is not the sign before decimals.
    fn candidates(&self) -> Result<Vec<Delimiter>, IngestError> {
        match self.stated {
            Some(Delimiter::Byte(byte)) if !byte.is_ascii() || matches!(byte, b'"' | b'\n' | b'\r' | 0) => {
                Err(IngestError::Delimiter)
            }
            Some(stated) => Ok(vec![stated]),
            None => {
                let mut candidates = CANDIDATES.map(Delimiter::Byte);
                if self.options.notation.decimal == DecimalSign::Comma {
                    candidates.rotate_left(1);
                }
                Ok(candidates.to_vec())
            }
        }
    }

    fn guess(&self, bytes: &[u8], syntax: Syntax) -> Result<Guess, IngestError> {
        let sample = sample(bytes, self.whole, syntax)?;
        Ok(Guess {
            score: Score::of(&sample.rows),
            syntax,
            sample,
        })
    }

    /// The delimiter that matches `bytes` best.
    fn best(&self, bytes: &[u8], syntax: Syntax) -> Result<Guess, IngestError> {
        let guesses = self
            .candidates()?
            .into_iter()
            .map(|delimiter| self.guess(bytes, Syntax { delimiter, ..syntax }))
            .collect::<Result<Vec<_>, _>>()?;
        let below_titles = guesses.iter().position(|guess| self.is_table_below_titles(guess));
        let mut best: Option<Guess> = None;
        let mut titled: Option<Guess> = None;
        for (index, guess) in guesses.into_iter().enumerate() {
            if below_titles == Some(index) {
                titled = Some(guess);
            } else if best.as_ref().is_none_or(|so_far| guess.score > so_far.score) {
                best = Some(guess);
            }
        }
        match (best, titled) {
            (Some(best), Some(titled)) => Ok(if titled.score > best.score || best.score.agreeing < 1000 {
                titled
            } else {
                best
            }),
            (Some(only), None) | (None, Some(only)) => Ok(only),
            (None, None) => Err(IngestError::Delimiter),
        }
    }

    /// Whether all lines from one of the first on have the same number of fields, and that one has the names of these.
    fn is_table_below_titles(&self, guess: &Guess) -> bool {
        let start = guess.sample.first_of(guess.score.width);
        let below = guess.sample.rows_from(start);
        guess.score.splits
            && (1..=MAX_TITLES).contains(&start)
            && below.len() > start.max(2)
            && below.iter().all(|row| row.len() == guess.score.width)
            && guess_header(below, self.options) == Some(HeaderFound::Proved)
    }

    /// Refuses lines at the start that look like comments, unless one is stated or it is the header that begins with such a sign.
    fn check_comments(&self, syntax: Syntax) -> Result<(), IngestError> {
        if self.options.comment.is_some() {
            return Ok(());
        }
        let mut table = self.bytes;
        let mut to_skip = syntax.skip_lines;
        while to_skip > 0 && !table.is_empty() {
            table = layout_advice::below(table);
            to_skip -= 1;
        }
        let Some(leading) = layout_advice::leading_comments(table) else {
            return Ok(());
        };
        let syntax = Syntax {
            skip_lines: 0,
            ..syntax
        };
        let table = self.best(leading.rest, syntax)?;
        let comments = sample(leading.lines, true, table.syntax)?;
        let fits = |row: &Vec<String>| row.len() == table.score.width;
        let are_rows = comments.rows.len() as u64 == leading.count && comments.rows.iter().all(fits);
        if table.sample.rows.is_empty() || are_rows {
            return Ok(());
        }
        let is_row = match guess_header(&table.sample.rows, self.options) {
            Some(HeaderFound::Absent) | None => true,
            Some(HeaderFound::Proved | HeaderFound::Assumed | HeaderFound::Stated) => false,
        };
        let has_names = is_row && table.score.width > 1 && comments.rows.last().is_some_and(fits);
        Err(IngestError::Layout {
            advice: layout_advice::about_comments(&leading, has_names),
        })
    }

    /// The layout with the delimiter that was found.
    fn layout(&self, guess: Guess) -> Result<Layout, IngestError> {
        if self.options.header == Header::Auto && guess.score.fits && self.is_table_below_titles(&guess) {
            let start = guess.sample.first_of(guess.score.width);
            return Err(IngestError::Layout {
                advice: layout_advice::about_titles(&guess.sample, start),
            });
        }
        let is_header_absent = matches!(self.options.header, Header::Absent { .. });
        if is_header_absent || guess.score.fits || !guess.score.splits {
            return self.with_header(guess, false);
        }
        if has_trailing_delimiters(&guess.sample) {
            return self.with_header(guess, true);
        }
        let names = guess.sample.rows.first().map_or(0, Vec::len);
        let delimiter = guess.syntax.delimiter;
        let start = guess.sample.first_of(guess.score.width);
        let below = guess.sample.rows_from(start);
        let is_pair = names == 1 && guess.score.width == 2;
        if self.stated.is_none() && is_pair && layout_advice::are_decimals_split(below, names, delimiter) {
            let single = Syntax {
                delimiter: Delimiter::Byte(b';'),
                ..guess.syntax
            };
            return self.with_header(self.guess(self.bytes, single)?, false);
        }
        if self.options.header == Header::Present {
            // The first line is said to be right, so the other lines are what is wrong.
            return self.with_header(guess, false);
        }
        if delimiter != Delimiter::Byte(b'\t') {
            self.check_blanks(true)?;
        }
        let header = guess_header(below, self.options);
        Err(IngestError::Layout {
            advice: layout_advice::about_first_lines(&guess.sample, delimiter, start, header),
        })
    }

    fn with_header(&self, guess: Guess, has_trailing_delimiters: bool) -> Result<Layout, IngestError> {
        let Guess {
            score,
            syntax,
            mut sample,
        } = guess;
        if score.width == 1 {
            self.check_blanks(true)?;
        }
        let ruler = sample.rows.get(1).map(|row| row.iter().map(String::as_str));
        if ruler.is_some_and(layout_advice::is_ruler) {
            sample.rows.remove(1);
            sample.lines.remove(1);
        }
        let header = match &self.options.header {
            Header::Auto => match guess_header(&sample.rows, self.options) {
                Some(found) => found,
                None => {
                    self.check_blanks(false)?;
                    return Err(IngestError::HeaderUnclear {
                        numbering: Numbering::Lines,
                    });
                }
            },
            Header::Present => HeaderFound::Stated,
            Header::Absent { .. } => HeaderFound::Absent,
        };
        let second_header = match header {
            HeaderFound::Absent => None,
            HeaderFound::Stated | HeaderFound::Proved | HeaderFound::Assumed => {
                let is_second = is_second_header(&sample.rows, self.options);
                sample.lines.get(1).copied().filter(|_| is_second)
            }
        };
        Ok(Layout {
            syntax,
            header,
            width: score.width - usize::from(has_trailing_delimiters),
            has_separator_line: false,
            has_trailing_delimiters,
            second_header,
        })
    }

    /// Refuses fields of a fixed width, or between blanks; `needs_runs` is whether there have to be several blanks between them.
    fn check_blanks(&self, needs_runs: bool) -> Result<(), IngestError> {
        if self.stated.is_some() {
            return Ok(());
        }
        let syntax = Syntax {
            delimiter: Delimiter::Blanks,
            quotes: self.options.quotes,
            trusts_quotes: self.options.quotes_are_stated,
            comment: self.options.comment,
            skip_lines: self.options.skip_lines,
        };
        let guess = self.guess(self.bytes, syntax)?;
        match layout_advice::about_blanks(self.bytes, &guess.sample, guess.score, needs_runs) {
            Some(advice) => Err(IngestError::Layout { advice }),
            None => Ok(()),
        }
    }
}

/// Whether all rows have one field more than the header, which is empty.
fn has_trailing_delimiters(sample: &Sample) -> bool {
    let Some((names, rows)) = sample.rows.split_first() else {
        return false;
    };
    let is_longer = |row: &Vec<String>| row.len() == names.len() + 1 && row.last().is_some_and(String::is_empty);
    !rows.is_empty() && rows.iter().all(is_longer)
}
