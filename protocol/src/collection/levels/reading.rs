//! How the values of a column are shown: it decides which of them exist, and the labels of atoms.

use serde::{Deserialize, Serialize};

/// How the values of the column are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// As they are.
    Plain,
    /// As ages in bands: values below zero and NaN are missing.
    Ages,
    /// As years, of which this one and all earlier ones are one.
    Years {
        /// That year; `None` if all are distinguished.
        oldest: Option<i32>,
    },
}
