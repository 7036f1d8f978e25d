//! One command for several datasets or negotiations: each has an outcome of its own.

use concordat_documents::grant::{Grant, GrantState};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use serde::Serialize;

use crate::context::Context;
use crate::output::Column;

const COLUMNS: [Column; 4] = [
    ("dataset", "dataset"),
    ("id", "id"),
    ("state", "state"),
    ("problem", "problem"),
];

/// What became of each, in the order in which they were named.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    lines: Vec<Line>,
    problems: Vec<Problem>,
}

/// An outcome in a table.
#[derive(Debug, Serialize)]
struct Line {
    dataset: Option<String>,
    id: Option<String>,
    state: Option<GrantState>,
    problem: Option<String>,
}

impl Outcomes {
    /// The step was made.
    pub(super) fn done(&mut self, grant: &Grant) {
        self.lines.push(Line {
            dataset: Some(format!("{}.{}", grant.provider, grant.dataset)),
            id: Some(grant.id.to_string()),
            state: Some(grant.state),
            problem: None,
        });
    }

    /// The step failed for what was named: a dataset, or the id of a negotiation.
    pub(super) fn failed(&mut self, dataset: Option<String>, id: Option<String>, problem: Problem) {
        let reasons = problem.reasons.iter().map(String::as_str);
        let texts: Vec<&str> = std::iter::once(problem.detail.as_str()).chain(reasons).collect();
        self.lines.push(Line {
            dataset,
            id,
            state: None,
            problem: Some(texts.join("; ")),
        });
        self.problems.push(problem);
    }

    /// Writes a line for each. What all have failed for alike is returned alone.
    ///
    /// # Errors
    /// The worst kind of the problems, if there are any.
    pub(super) fn conclude(self, what: &str, context: &Context) -> Result<(), Problem> {
        let Self { lines, problems } = self;
        if let Some(problem) = common(&problems, lines.len()) {
            return Err(problem);
        }
        context.out.list(&lines, &COLUMNS)?;
        let Some(worst) = problems
            .iter()
            .map(|problem| problem.code)
            .max_by_key(|code| severity(*code))
        else {
            return Ok(());
        };
        let detail = format!("{} of {} {what} failed", problems.len(), lines.len());
        Err(Problem::new(worst, detail).help("the list states why, and what succeeded stays"))
    }
}

/// The problem, if every one of `all` failed with the same.
fn common(problems: &[Problem], all: usize) -> Option<Problem> {
    let (first, others) = problems.split_first()?;
    let is_common = problems.len() == all && others.iter().all(|problem| problem == first);
    is_common.then(|| first.clone())
}

/// How bad a problem is: what a person named comes before what the rules decide, and what concerns every later step comes last.
const fn severity(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 0,
        ErrorKind::Unverified => 1,
        ErrorKind::NotFound => 2,
        ErrorKind::Denied => 3,
        ErrorKind::Unreachable => 4,
        ErrorKind::Locked | ErrorKind::InUse => 5,
        ErrorKind::Internal => 6,
        ErrorKind::Integrity => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(problems: &[(ErrorKind, &str)]) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (kind, detail) in problems {
            outcomes.failed(Some("budapest.heart".to_owned()), None, Problem::new(*kind, *detail));
        }
        outcomes
    }

    #[test]
    fn problem_that_all_have_is_one_problem() {
        let both = outcomes(&[(ErrorKind::Locked, "no login"), (ErrorKind::Locked, "no login")]);
        assert_eq!(common(&both.problems, 2).unwrap().detail, "no login");
        assert_eq!(common(&both.problems, 3), None);
        assert_eq!(common(&outcomes(&[]).problems, 0), None);
        let different = outcomes(&[(ErrorKind::NotFound, "a"), (ErrorKind::NotFound, "b")]);
        assert_eq!(common(&different.problems, 2), None);
    }

    #[test]
    fn reasons_of_a_problem_are_on_its_line() {
        let mut outcomes = Outcomes::default();
        let problem = Problem::new(ErrorKind::Denied, "not offered").because(["one", "two"]);
        outcomes.failed(None, Some("5b97".to_owned()), problem);
        assert_eq!(outcomes.lines[0].problem.as_deref(), Some("not offered; one; two"));
        assert_eq!(outcomes.lines[0].id.as_deref(), Some("5b97"));
    }

    #[test]
    fn exit_code_is_that_of_the_worst_problem() {
        let worst = |kinds: &[ErrorKind]| kinds.iter().copied().max_by_key(|kind| severity(*kind));
        for (kinds, expected) in [
            (&[ErrorKind::Usage, ErrorKind::NotFound][..], ErrorKind::NotFound),
            (&[ErrorKind::Unreachable, ErrorKind::Denied], ErrorKind::Unreachable),
            (
                &[ErrorKind::Internal, ErrorKind::Integrity, ErrorKind::Locked],
                ErrorKind::Integrity,
            ),
        ] {
            assert_eq!(worst(kinds), Some(expected));
        }
    }
}
