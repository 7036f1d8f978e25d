//! Template files: what a steward, or the author of a data model, declares about the datasets and columns of a collection, as TOML.
//!
//! 1. `[subject]` names the dataset with the subjects and their key, `[reading]` how else headers of files may name columns, `[days]` how
//!    many days apart a condition may require two dates to be.
//! 2. `[levels.NAME]` is what conditions and groups may distinguish, for several columns: `edges`, `values` or `codes`.
//! 3. `[datasets.NAME]` and `[datasets.NAME.columns]` declare datasets and columns by name, or by a pattern in which each `*` stands for
//!    any characters.
//!
//! A file is parsed whole into a [`Template`](concordat_protocol::collection::Template). All mistakes are reported at once, each with its
//! line; of a file that is not TOML only what the reader of TOML finds. Other mistakes depend on the columns that the template is applied
//! to: [`TemplateFile::line_of`] returns the line of the entry that such a mistake is about.
//!
//! The program contains the templates of common data models ([`shipped`]), and writes what is declared about a collection as a template
//! ([`written`]).

mod datasets;
mod edges;
mod entries;
mod error;
mod file;
mod levels;
mod mistakes;
mod writing;

pub use error::{Mistake, MistakeProblem, TemplateFileError};
pub use file::TemplateFile;
pub use writing::written;

/// The templates that the program contains: the name of each and its text.
const SHIPPED: [(&str, &str); 3] = [
    ("omop-5.3", include_str!("../templates/omop-5.3.toml")),
    ("omop-5.4", include_str!("../templates/omop-5.4.toml")),
    ("synthea", include_str!("../templates/synthea.toml")),
];

/// The names of the templates that the program contains.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The text of the template of this name; `None` if the program contains none.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    let found = SHIPPED.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

#[cfg(test)]
mod tests;
