//! Collects the mistakes of a file, each with its line.

use concordat_protocol::text::TerminalLine;

use super::error::{MAX_MISTAKES, Mistake, MistakeProblem, TemplateFileError};

/// The mistakes that were found, and where the lines of the file begin.
pub(super) struct Mistakes {
    line_starts: Vec<usize>,
    found: Vec<Mistake>,
    more: usize,
}

impl Mistakes {
    pub(super) fn of(text: &str) -> Self {
        let breaks = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n');
        Self {
            line_starts: std::iter::once(0).chain(breaks.map(|(_, next)| next)).collect(),
            found: Vec::new(),
            more: 0,
        }
    }

    /// The line of a byte of the file, counted from one.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// Adds a mistake at a byte of the file. The key is text of the file, and cannot change how the others are shown.
    pub(super) fn add(&mut self, at: usize, key: &str, problem: MistakeProblem) {
        self.push(Mistake {
            line: self.line(at),
            key: Some(TerminalLine::new(key).to_string()),
            problem,
        });
    }

    /// Adds what the TOML reader found.
    pub(super) fn add_syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        self.push(Mistake {
            line: self.line(at),
            key: None,
            problem: MistakeProblem::Syntax(TerminalLine::new(error.message()).to_string()),
        });
    }

    fn push(&mut self, mistake: Mistake) {
        if self.found.len() < MAX_MISTAKES {
            self.found.push(mistake);
        } else {
            self.more += 1;
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_error(mut self) -> TemplateFileError {
        self.found.sort_by_key(|mistake| mistake.line);
        TemplateFileError::Mistakes {
            mistakes: self.found,
            more: self.more,
        }
    }
}
