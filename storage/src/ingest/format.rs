//! The formats that can be imported.

use std::fmt;

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// A JSON object on each line.
    Ndjson,
    /// A sheet of an Excel workbook (Office Open XML).
    Xlsx,
    /// A sheet of an OpenDocument spreadsheet.
    Ods,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Parquet, Self::Ndjson, Self::Xlsx, Self::Ods];

    /// The format with this label, as users write it.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.label() == label)
    }

    /// The label that users write.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Ndjson => "ndjson",
            Self::Xlsx => "xlsx",
            Self::Ods => "ods",
        }
    }

    /// Whether it is a spreadsheet.
    pub(super) const fn is_spreadsheet(self) -> bool {
        match self {
            Self::Xlsx | Self::Ods => true,
            Self::Csv | Self::Parquet | Self::Ndjson => false,
        }
    }

    /// How rows of this format are found in the file.
    pub(super) const fn numbering(self) -> Numbering {
        match self {
            Self::Csv | Self::Ndjson => Numbering::Lines,
            Self::Parquet | Self::Xlsx | Self::Ods => Numbering::Rows,
        }
    }
}

/// What the number of a row counts, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// The lines of a text.
    Lines,
    /// The rows of a table.
    Rows,
}

impl fmt::Display for Numbering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "line",
            Self::Rows => "row",
        })
    }
}
