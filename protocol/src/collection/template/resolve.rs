//! Which entries of a template apply to a dataset or column.

use super::error::{TemplateError, TemplateProblem};

/// The mistakes that were found.
#[derive(Debug, Default)]
pub(super) struct Errors(pub(super) Vec<TemplateError>);

impl Errors {
    pub(super) fn add(&mut self, dataset: &str, column: Option<&str>, problem: TemplateProblem) {
        let error = TemplateError {
            dataset: dataset.to_owned(),
            column: column.map(str::to_owned),
            problem,
        };
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }
}

/// One part of entries that match a dataset or column, each with its rank: names come before patterns.
pub(super) type Candidates<'a, E> = [(u8, &'a E)];

/// What the entries of the lowest rank that declare a part declare.
pub(super) fn part<'a, E, T: PartialEq>(
    entries: &Candidates<'a, E>,
    name: &'static str,
    of: impl Fn(&'a E) -> Option<&'a T>,
) -> Result<Option<&'a T>, TemplateProblem> {
    let declared = || {
        entries
            .iter()
            .filter_map(|(rank, entry)| of(entry).map(|part| (*rank, part)))
    };
    let Some(least) = declared().map(|(rank, _)| rank).min() else {
        return Ok(None);
    };
    let mut of_rank = declared().filter(|(rank, _)| *rank == least).map(|(_, part)| part);
    let first = of_rank.next();
    if of_rank.all(|other| Some(other) == first) {
        Ok(first)
    } else {
        Err(TemplateProblem::Contradiction { part: name })
    }
}
