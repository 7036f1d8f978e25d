//! What is missing from an answer, or happened while it was received, kept with its rows.
//!
//! Files of Arrow and Parquet have it as metadata, under [`REMARKS_KEY`](concordat_documents::query::REMARKS_KEY). A file of text has no
//! place for it: `FILE.remarks.json` lies beside it, if there are remarks about this answer and not only about every answer of its kind.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_documents::query::{AnswerRemark, AnswerSummary, RemarkKind};

use super::out::unwritable;
use crate::files::{self, NewFile};
use crate::text::escaped_json;

/// What is added to the name of a file.
const ENDING: &str = ".remarks.json";

/// The remarks as metadata: a JSON array.
pub(super) fn metadata(summary: &AnswerSummary) -> Result<String, Problem> {
    serde_json::to_string(&summary.remarks).map_err(|error| unwritable(&error))
}

/// The file beside a file of text.
#[derive(Debug)]
pub(super) struct RemarksFile {
    path: PathBuf,
    file: NewFile,
}

impl RemarksFile {
    /// Begins the file that belongs to the file `rows`, so that what prevents it is known before rows are requested.
    ///
    /// # Errors
    /// As [`NewFile::create`].
    pub(super) fn beside(rows: &Path) -> Result<Self, Problem> {
        let mut name = OsString::from(rows);
        name.push(ENDING);
        let path = PathBuf::from(name);
        let file = NewFile::create(&path)?;
        Ok(Self { path, file })
    }

    /// Completes the rows with `finish`, and before them the remarks, if there are any: no rows appear without their remarks. The remarks
    /// of older rows are removed. Returns a note about the file.
    ///
    /// # Errors
    /// If either cannot be written; neither file appears then.
    pub(super) fn complete(
        mut self,
        summary: &AnswerSummary,
        finish: impl FnOnce() -> Result<(), Problem>,
    ) -> Result<Option<String>, Problem> {
        if !summary.remarks.iter().any(is_about_this_answer) {
            finish()?;
            files::remove(&self.path)?;
            return Ok(None);
        }
        let text = serde_json::to_string_pretty(&summary.remarks).map_err(|error| unwritable(&error))?;
        let text = format!("{}\n", escaped_json(&text));
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| unwritable(&error))?;
        self.file.finish()?;
        if let Err(problem) = finish() {
            files::remove(&self.path)?;
            return Err(problem);
        }
        Ok(Some(format!(
            "`{}` lists the remarks on these rows",
            self.path.display()
        )))
    }
}

/// Whether a remark depends on the answer or the query. That a member withholds figures about few subjects is stated of every answer below `records`.
fn is_about_this_answer(remark: &AnswerRemark) -> bool {
    match remark.kind {
        RemarkKind::MissingMember
        | RemarkKind::FormerMember
        | RemarkKind::MissingColumn
        | RemarkKind::MissingCells
        | RemarkKind::MissingFigures
        | RemarkKind::RenamedColumn
        | RemarkKind::ContinuedAnswer
        | RemarkKind::CombinedParts
        | RemarkKind::LimitedValues
        | RemarkKind::QuantilesInBands
        | RemarkKind::Noise
        | RemarkKind::ValuesBeyond
        | RemarkKind::OrderOfFigures
        | RemarkKind::InventedRows => true,
        RemarkKind::WithheldCells => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use concordat_documents::query::AnswerReceipt;
    use concordat_protocol::error_kind::ErrorKind;
    use concordat_protocol::ids::{Digest32, GrantId, QueryId};
    use concordat_protocol::query::Outcome;

    use super::*;

    fn summary(kind: RemarkKind) -> AnswerSummary {
        let remark = AnswerRemark {
            kind,
            institution: Some("beta".parse().unwrap()),
            dataset: Some("wards".parse().unwrap()),
            column: None,
            cells: Vec::new(),
            text: "beta\u{202e}".to_owned(),
        };
        let receipt = AnswerReceipt {
            dataset: "beta.wards".parse().unwrap(),
            grant: GrantId::from_bytes([1; 16]),
            query: QueryId::from_bytes([1; 16]),
            rows: 1,
            bytes: 1,
            outcome: Outcome::Completed,
            receipt: Digest32::sha256("test", b""),
        };
        AnswerSummary {
            receipts: vec![receipt],
            notes: vec![remark.text.clone()],
            remarks: vec![remark],
        }
    }

    #[test]
    fn remarks_on_this_answer_lie_beside_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let rows = dir.path().join("a.csv");
        let beside = dir.path().join("a.csv.remarks.json");
        let complete = |summary: &AnswerSummary| {
            RemarksFile::beside(&rows)
                .unwrap()
                .complete(summary, || Ok(()))
                .unwrap();
            beside.exists()
        };
        for kind in [
            RemarkKind::MissingMember,
            RemarkKind::FormerMember,
            RemarkKind::MissingColumn,
            RemarkKind::MissingCells,
            RemarkKind::MissingFigures,
            RemarkKind::RenamedColumn,
            RemarkKind::ContinuedAnswer,
            RemarkKind::CombinedParts,
            RemarkKind::LimitedValues,
            RemarkKind::QuantilesInBands,
            RemarkKind::Noise,
            RemarkKind::OrderOfFigures,
            RemarkKind::ValuesBeyond,
            RemarkKind::InventedRows,
        ] {
            assert!(complete(&summary(kind)), "{kind:?}");
            // The remarks of older rows do not stay beside newer ones.
            assert!(!complete(&summary(RemarkKind::WithheldCells)), "{kind:?}");
        }
        let missing = summary(RemarkKind::MissingCells);
        assert!(complete(&missing));
        let text = fs::read_to_string(&beside).unwrap();
        assert!(!text.contains('\u{202e}'), "{text}");
        assert_eq!(
            serde_json::from_str::<Vec<AnswerRemark>>(&text).unwrap(),
            missing.remarks
        );
    }

    #[test]
    fn remarks_do_not_appear_without_their_rows() {
        let dir = tempfile::tempdir().unwrap();
        let remarks = RemarksFile::beside(&dir.path().join("a.csv")).unwrap();
        let failed = || Err(Problem::new(ErrorKind::Internal, "no"));
        remarks
            .complete(&summary(RemarkKind::MissingMember), failed)
            .unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
