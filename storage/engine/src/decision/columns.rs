//! The columns of descriptions: what they are, as a hash.

use concordat_disclosure::{Condition as Described, UnitSet};
use concordat_protocol::ids::{ColumnName, DatasetName, Digest32};
use serde::Serialize;

use crate::statistic::{Quantity, Step};

/// Label of the hashes that are names of columns. They are stored with the sets and never change.
const NAME: &str = "concordat/column of a cell/1";

/// A column by the row that it is of. The subject's own row is the same one from whichever row of the subject it is reached. Through a row
/// that may be missing, or may belong to another subject, it is another column.
#[derive(Serialize)]
pub(super) enum Named<'a> {
    Column(&'a DatasetName, &'a [Step], &'a ColumnName),
    InText(&'a DatasetName, &'a [Step], &'a ColumnName),
    Other(&'a Quantity),
}

pub(super) fn named(of: &Quantity) -> Named<'_> {
    let (path, is_text) = match of {
        Quantity::Column(path) => (path, false),
        Quantity::InText(path) => (path, true),
        Quantity::Seconds { .. }
        | Quantity::Days { .. }
        | Quantity::Age { .. }
        | Quantity::Linear { .. }
        | Quantity::OfSubject { .. } => return Named::Other(of),
    };
    let (dataset, steps) = match path.via().split_first() {
        Some((Step::Subject(dataset), after)) => (dataset, after),
        Some((Step::Link(_), _)) | None => (path.root(), path.via()),
    };
    if is_text {
        Named::InText(dataset, steps, path.column())
    } else {
        Named::Column(dataset, steps, path.column())
    }
}

/// A part that the audit does not read: whether it is true, as a column of its own.
pub(super) fn opaque<T: Serialize>(part: &T) -> Described {
    classes(part, 2, 1)
}

/// One of several classes, as a column of its own.
pub(super) fn classes<T: Serialize>(part: &T, of: usize, class: usize) -> Described {
    Described::Atoms {
        path: name(part),
        of: number(of),
        atoms: UnitSet::from_iter([number(class)]),
    }
}

/// The name of a column.
pub(super) fn name<T: Serialize>(part: &T) -> String {
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and no part has a type that cannot be encoded.
    let _ = ciborium::into_writer(part, &mut bytes);
    Digest32::sha256(NAME, &bytes).to_string()
}

/// The number of an atom.
pub(super) fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
