//! The entries of a template.

use std::collections::BTreeMap;

use super::super::kind::{CountLevels, KeyLink};
use super::super::levels::{CodeNames, Contents, Hierarchy, Levels, Listed, RawLevels};
use super::super::measure::RawRange;
use super::edges::TemplateEdges;
use super::error::TemplateProblem;
use super::pattern::Pattern;
use crate::ids::{ColumnName, DatasetName, LevelName};
use crate::schema::ColumnClass;
use crate::text::Label;

/// What a template declares about datasets of one name or pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateDataset {
    /// Which datasets.
    pub name: Pattern,
    /// How their rows lead to a subject.
    pub kind: Option<TemplateKind>,
    /// The column with the date on which a row happened.
    pub event_date: Option<ColumnName>,
    /// How many rows a condition may require of a subject.
    pub counts: Option<CountLevels>,
    /// Their columns, by name or pattern.
    pub columns: Vec<(Pattern, TemplateColumn)>,
}

/// How rows lead to a subject. The column with the key of the subject is the one with that role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// A column of each row is the key of its subject.
    Keyed {
        /// Whether each subject has at most one row.
        unique: bool,
    },
    /// Rows lead to a subject through keys of other datasets.
    Owned {
        /// The links.
        through: Vec<KeyLink>,
    },
    /// Rows that are about no subject.
    Reference,
    /// Each row is a subject of its own.
    EachRow,
    /// It is not known which subject a row belongs to.
    Unowned,
}

/// What a template declares about columns of one name or pattern. What is `None` is not declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateColumn {
    /// What they reveal about a person.
    pub class: Option<ColumnClass>,
    /// What they are for joins.
    pub role: Option<TemplateRole>,
    /// What conditions and groups may distinguish.
    pub levels: Option<TemplateLevels>,
    /// The range to which contributions are clipped.
    pub measure: Option<RawRange>,
    /// The unit of the values.
    pub unit: Option<Label>,
    /// Whether each row has a value, and with listed values one of these.
    pub complete: Option<bool>,
}

/// What a column is for joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateRole {
    /// The key of the subject.
    Subject,
    /// A key of the dataset.
    Key,
    /// A key of another dataset.
    Link {
        /// The dataset.
        to: DatasetName,
        /// Its key.
        key: ColumnName,
    },
    /// None of these.
    Value,
}

/// What conditions and groups may distinguish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateLevels {
    /// Only whether a value is missing.
    None,
    /// True and false.
    Truth,
    /// Numbers or dates between edges.
    Edges(TemplateEdges),
    /// Listed values.
    Values(Vec<Listed>),
    /// Codes of an open list.
    Codes {
        /// The reference dataset with the codes above each code.
        hierarchy: Option<Hierarchy>,
        /// The reference dataset with the names of codes.
        names: Option<CodeNames>,
        /// The groups of codes of each level.
        levels: BTreeMap<LevelName, Vec<Listed>>,
    },
}

impl TemplateLevels {
    /// What is wrong with them in every column, whatever it contains.
    #[must_use]
    pub fn problems(&self) -> Vec<TemplateProblem> {
        match self.raw() {
            Ok(raw) => {
                let errors = Levels::check(raw, Contents::Empty).err().unwrap_or_default();
                errors.into_iter().map(TemplateProblem::Levels).collect()
            }
            Err(problem) => vec![problem],
        }
    }

    /// The levels as the rules of a column declare them.
    pub(super) fn raw(&self) -> Result<RawLevels, TemplateProblem> {
        Ok(match self {
            Self::None => RawLevels::None,
            Self::Truth => RawLevels::Truth,
            Self::Edges(edges) => edges.raw()?,
            Self::Values(listed) => RawLevels::Values(listed.clone()),
            Self::Codes {
                hierarchy,
                names,
                levels,
            } => RawLevels::Codes {
                hierarchy: hierarchy.clone(),
                names: names.clone(),
                levels: levels.clone(),
            },
        })
    }
}
