//! What is declared about one column.

use serde::{Deserialize, Serialize};

use super::super::kind::ColumnRole;
use super::super::levels::{Contents, Levels, LevelsError, ListedValues, RawLevels};
use super::super::measure::{Range, RawRange};
use super::error::RuleProblem;
use crate::ids::ColumnName;
use crate::schema::{ColumnClass, ColumnKind};
use crate::scope::{Generalization, Transform, Value};
use crate::text::Label;

/// What a steward declares about one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawColumnRules {
    /// What it reveals about a person.
    pub class: Option<ColumnClass>,
    /// What it is for joins.
    pub role: ColumnRole,
    /// What conditions and groups may distinguish.
    pub levels: RawLevels,
    /// The range to which contributions are clipped.
    pub measure: Option<RawRange>,
    /// The unit of its values.
    pub unit: Option<Label>,
    /// Whether each row has a value, and with listed values one of these.
    pub complete: bool,
    /// The names of its listed values. What does not fit the other rules is left out.
    pub names: Option<ValueNames>,
}

/// The names that a reference dataset has for listed values of a column that leads there. They are read when the dataset is imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueNames {
    /// The column of the reference dataset that has them.
    pub column: ColumnName,
    /// The values, each with its name as the label. Some may have none.
    pub values: ListedValues,
}

/// The valid rules of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnRules {
    pub(super) contents: Contents,
    pub(super) class: Option<ColumnClass>,
    pub(super) role: ColumnRole,
    pub(super) levels: Levels,
    pub(super) measure: Option<Range>,
    pub(super) unit: Option<Label>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) names: Option<ValueNames>,
}

/// Rules of one column as they were decoded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnForm {
    contents: Contents,
    class: Option<ColumnClass>,
    role: ColumnRole,
    levels: Levels,
    measure: Option<Range>,
    unit: Option<Label>,
    #[serde(default)]
    complete: bool,
    #[serde(default)]
    names: Option<ValueNames>,
}

impl ColumnRules {
    /// The rules of a column with these contents, without the parts that are invalid, and what is wrong with those.
    pub(super) fn of(raw: RawColumnRules, contents: Contents) -> (Self, Vec<RuleProblem>) {
        let mut problems = Vec::new();
        let levels = Levels::check(raw.levels, contents).unwrap_or_else(|errors| {
            problems.extend(errors.into_iter().map(RuleProblem::Levels));
            Levels::None
        });
        let measure = raw.measure.map(Range::try_from).transpose().unwrap_or_else(|error| {
            problems.push(RuleProblem::Range(error));
            None
        });
        let rules = Self {
            contents,
            class: raw.class,
            role: raw.role,
            levels,
            measure,
            unit: raw.unit,
            complete: raw.complete,
            names: raw.names,
        };
        (rules, problems)
    }

    /// What is wrong with the rules, apart from what links lead to.
    pub(super) fn problems(&self) -> Vec<RuleProblem> {
        let declares = self.levels != Levels::None || self.measure.is_some();
        let is_own_key = matches!(self.role, ColumnRole::Subject | ColumnRole::Key);
        let checks = [
            (
                self.levels.fits(self.contents),
                RuleProblem::Levels(LevelsError::OtherKind),
            ),
            (
                self.measure.is_none() || self.contents.has_numbers() || self.has_numbers_in_text(),
                RuleProblem::RangeOfOther,
            ),
            (
                !declares || self.class != Some(ColumnClass::DirectIdentifier),
                RuleProblem::LevelsOnIdentifier,
            ),
            (!declares || !is_own_key, RuleProblem::LevelsOnKey),
            (
                self.role == ColumnRole::Value || self.contents.has_keys(),
                RuleProblem::KeyKind,
            ),
            (!self.complete || self.can_be_complete(), RuleProblem::Complete),
        ];
        let failed = checks.into_iter().filter(|(is_valid, _)| !is_valid);
        failed.map(|(_, problem)| problem).collect()
    }

    /// Whether edges are declared for a column of text: they divide the numbers in it, and a range is one of these numbers.
    #[must_use]
    pub const fn has_numbers_in_text(&self) -> bool {
        matches!(
            (self.contents, &self.levels),
            (Contents::Of(ColumnKind::Text), Levels::Edges(_))
        )
    }

    /// Whether there are levels by which each value is one of the declared ones. A text that is no number has none, and codes of an open list
    /// are never all.
    const fn can_be_complete(&self) -> bool {
        match self.levels {
            Levels::Truth | Levels::Values(_) => true,
            Levels::Edges(_) => !self.has_numbers_in_text(),
            Levels::None | Levels::Codes(_) => false,
        }
    }

    /// Whether each row of the dataset has a value, and with listed values one of these. Each import checks that.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether that is so for what a grant shows with this transform: others show values as missing.
    pub(super) const fn is_complete_under(&self, transform: Transform) -> bool {
        self.complete
            && matches!(
                transform,
                Transform::Clear | Transform::Generalized(Generalization::Levels)
            )
    }

    /// What the column contains.
    pub const fn contents(&self) -> Contents {
        self.contents
    }

    /// What it reveals about a person; `None` if that is not declared.
    pub const fn class(&self) -> Option<ColumnClass> {
        self.class
    }

    /// What it is for joins.
    pub const fn role(&self) -> &ColumnRole {
        &self.role
    }

    /// What conditions and groups may distinguish.
    pub const fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The range to which contributions are clipped; `None` if the column is not measured.
    pub const fn measure(&self) -> Option<Range> {
        self.measure
    }

    /// The unit of its values.
    pub const fn unit(&self) -> Option<&Label> {
        self.unit.as_ref()
    }

    /// The names of its listed values; `None` if none are known.
    pub const fn names(&self) -> Option<&ValueNames> {
        self.names.as_ref()
    }

    /// Whether each value that has a name is a listed value of the column.
    pub(super) fn lists_names(&self, names: &ValueNames) -> bool {
        let Levels::Values(listed) = &self.levels else {
            return false;
        };
        let is_listed = |named: &Value| listed.iter().any(|listed| listed.value == *named);
        names.values.iter().all(|named| is_listed(&named.value))
    }

    /// What of the column can be used under a grant that shows it with this transform, for which see [`Levels::under`]. `None` if the
    /// column is removed.
    #[must_use]
    pub fn under(&self, transform: Transform, oldest_year: Option<i32>) -> Option<EffectiveColumn> {
        Some(EffectiveColumn {
            levels: self.levels.under(transform, oldest_year)?,
            measure: self.measure.filter(|_| transform == Transform::Clear),
            is_joinable: matches!(transform, Transform::Clear | Transform::Pseudonym),
            is_complete: self.is_complete_under(transform),
            // Values with one label are one, and their names would distinguish them.
            names: self.names.clone().filter(|_| transform == Transform::Clear),
        })
    }

    /// The rules as they are declared.
    pub(super) fn raw(&self) -> RawColumnRules {
        RawColumnRules {
            class: self.class,
            role: self.role.clone(),
            levels: self.levels.raw(),
            measure: self.measure.map(RawRange::from),
            unit: self.unit.clone(),
            complete: self.complete,
            names: self.names.clone(),
        }
    }
}

impl From<ColumnForm> for ColumnRules {
    fn from(form: ColumnForm) -> Self {
        Self {
            contents: form.contents,
            class: form.class,
            role: form.role,
            levels: form.levels,
            measure: form.measure,
            unit: form.unit,
            complete: form.complete,
            names: form.names,
        }
    }
}

/// What of a column can be used under a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveColumn {
    /// What conditions and groups may distinguish.
    pub levels: Levels,
    /// The range to which contributions are clipped; `None` if the column cannot be measured.
    pub measure: Option<Range>,
    /// Whether its values can be compared with those of columns of the same domain.
    pub is_joinable: bool,
    /// Whether each row has a value, and with listed values one of these.
    pub is_complete: bool,
    /// The names of its listed values; `None` if none are known.
    pub names: Option<ValueNames>,
}
