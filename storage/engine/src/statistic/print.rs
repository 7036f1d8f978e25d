//! A statistic as SQL, in one form: what is sent to members, and what messages show.
//!
//! Lowering the text again results in the same statistic. Rows that are reached are joined with `LEFT JOIN`, since the conditions of a
//! statistic state which of them must exist.

mod quantities;
mod values;

use std::{fmt::Write as _, ops::Range};

use concordat_protocol::{
    collection::{AtomId, AtomTest, DatasetKind, Levels},
    ids::{ColumnName, DatasetName, LevelName},
    schema::VersionNumber,
    scope::Value,
};

use super::{
    block::{Measured, Statistic},
    known::KnownCollection,
    measure::{CellAggregate, Group},
    paths::Step,
    terms::{Condition, EventSet, KeyList, Quantity, ReferenceTest, SubjectValue},
};

use values::{literal, quoted, string, values_in};

/// The most branches of a `CASE` with labels.
const BRANCHES: u16 = 4;

/// The statistic as one `SELECT` over the datasets of its collection. `None` if rows lead to their subject through other datasets, whose
/// events have no column to be related by, and if a group or condition has too many ranges, as months of all years have.
#[must_use]
pub fn print(statistic: &Statistic, known: &KnownCollection) -> Option<String> {
    printed(statistic, known, Printing::default())
}

/// The same in another form.
pub(crate) fn printed(statistic: &Statistic, known: &KnownCollection, form: Printing) -> Option<String> {
    let mut printer = Printer {
        known,
        form,
        names: 0,
        scopes: Vec::new(),
    };
    printer.statistic(statistic)
}

/// How a statistic is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Printing {
    /// Whether its columns have names: groups `g0`, `g1`, … and aggregates `a0`, `a1`, … in their order.
    pub(crate) is_named: bool,
    /// Whether groups are labels of atoms also where values are shown as they are, as at tier `records`.
    pub(crate) has_labels: bool,
    /// The version of the collection; the current one if `None`.
    pub(crate) version: Option<VersionNumber>,
}

impl Printing {
    fn named(self, text: String, letter: char, at: usize) -> String {
        if self.is_named {
            format!("{text} AS \"{letter}{at}\"")
        } else {
            text
        }
    }
}

/// A row while the text about it is written.
struct Scope {
    name: String,
    /// The dataset; `None` for subjects.
    dataset: Option<DatasetName>,
    subject: Option<ColumnName>,
    /// What is joined: the steps, the name and the text.
    reached: Vec<(Vec<Step>, String, String)>,
    values: Vec<(EventSet, SubjectValue, String, String)>,
}

struct Printer<'k> {
    known: &'k KnownCollection,
    form: Printing,
    names: usize,
    scopes: Vec<Scope>,
}

impl Printer<'_> {
    fn statistic(&mut self, statistic: &Statistic) -> Option<String> {
        let mut conditions: Vec<&Condition> = statistic.rows().conjuncts().iter().collect();
        if *statistic.rows() == Condition::Never {
            conditions = vec![statistic.rows()];
        }
        let from = match statistic.measured() {
            Measured::Rows(dataset) => self.open(dataset),
            Measured::Subjects => self.subjects(&mut conditions)?,
        };
        let mut shown = Vec::new();
        for (at, group) in statistic.groups().iter().enumerate() {
            let text = self.group(group)?;
            shown.push(self.form.named(text, 'g', at));
        }
        let groups = shown.len();
        for (at, cell) in statistic.cells().iter().enumerate() {
            let text = self.cell(cell, statistic.measured())?;
            shown.push(self.form.named(text, 'a', at));
        }
        let conditions = conditions.into_iter().map(|condition| self.condition(condition));
        let conditions = conditions.collect::<Option<Vec<_>>>()?;
        let joined = self.close()?;
        let mut text = format!("SELECT {} FROM {from}{joined}", shown.join(", "));
        if !conditions.is_empty() {
            write!(text, " WHERE {}", conditions.join(" AND ")).ok()?;
        }
        if groups > 0 {
            let positions: Vec<String> = (1..=groups).map(|at| at.to_string()).collect();
            write!(text, " GROUP BY {}", positions.join(", ")).ok()?;
        }
        Some(text)
    }

    /// The subjects with one of the events that they must have.
    fn subjects(&mut self, conditions: &mut Vec<&Condition>) -> Option<String> {
        let at = conditions
            .iter()
            .position(|condition| matches!(condition, Condition::Events { exist: true, .. }))?;
        let Condition::Events { of, .. } = conditions.remove(at) else {
            return None;
        };
        let subject = self.subject_of(&of.dataset)?;
        let rows = self.rows(of, &format!("DISTINCT #.{}", quoted(subject.as_str())), "", None)?;
        let name = self.name();
        self.scopes.push(Scope {
            name: name.clone(),
            dataset: None,
            subject: Some(subject),
            reached: Vec::new(),
            values: Vec::new(),
        });
        Some(format!("({rows}) AS {name}"))
    }

    fn name(&mut self) -> String {
        self.names = self.names.saturating_add(1);
        format!("r{}", self.names)
    }

    fn open(&mut self, dataset: &DatasetName) -> String {
        let name = self.name();
        let version = self.form.version.map(|version| format!(" VERSION AS OF {version}"));
        let from = format!("{}{} AS {name}", quoted(dataset.as_str()), version.unwrap_or_default());
        self.scopes.push(Scope {
            name,
            dataset: Some(dataset.clone()),
            subject: self.subject_of(dataset),
            reached: Vec::new(),
            values: Vec::new(),
        });
        from
    }

    /// The joins of the innermost row.
    fn close(&mut self) -> Option<String> {
        let scope = self.scopes.pop()?;
        let reached = scope.reached.into_iter().map(|(_, _, text)| text);
        let values = scope.values.into_iter().map(|(_, _, _, text)| text);
        Some(reached.chain(values).collect())
    }

    fn subject_of(&self, dataset: &DatasetName) -> Option<ColumnName> {
        match self.known.kind(dataset)? {
            DatasetKind::Keyed { subject, .. } => Some(subject.clone()),
            DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => None,
        }
    }

    /// `SELECT shown FROM …` the rows of a set of events, with `#` for their name. `around` relates them to the row around.
    fn rows(&mut self, of: &EventSet, shown: &str, grouped: &str, around: Option<&str>) -> Option<String> {
        let subject = self.subject_of(&of.dataset);
        self.select(&of.dataset, &of.rows, subject, shown, grouped, around)
    }

    fn select(
        &mut self,
        dataset: &DatasetName,
        rows: &Condition,
        subject: Option<ColumnName>,
        shown: &str,
        grouped: &str,
        around: Option<&str>,
    ) -> Option<String> {
        let from = self.open(dataset);
        let name = self.scopes.last()?.name.clone();
        let mut conditions = Vec::new();
        if let Some(around) = around {
            conditions.push(format!("{name}.{} = {around}", quoted(subject?.as_str())));
        }
        if *rows != Condition::All {
            conditions.push(self.condition(rows)?);
        }
        let joined = self.close()?;
        let mut text = format!("SELECT {} FROM {from}{joined}", shown.replace('#', &name));
        if !conditions.is_empty() {
            write!(text, " WHERE {}", conditions.join(" AND ")).ok()?;
        }
        text.push_str(&grouped.replace('#', &name));
        Some(text)
    }

    fn condition(&mut self, condition: &Condition) -> Option<String> {
        Some(match condition {
            Condition::All => "true".to_owned(),
            Condition::Never => "false".to_owned(),
            Condition::Test(of, test) => self.test(of, test)?,
            Condition::Events { of, exist } => {
                let scope = self.scopes.last()?;
                let around = format!("{}.{}", scope.name, quoted(scope.subject.as_ref()?.as_str()));
                let rows = self.rows(of, "1", "", Some(&around))?;
                format!("{}EXISTS ({rows})", if *exist { "" } else { "NOT " })
            }
            Condition::Listed { of, list, is_in } => {
                let column = self.column(of)?;
                let KeyList { dataset, key, rows } = list.as_ref();
                let rows = self.select(dataset, rows, None, &format!("#.{}", quoted(key.as_str())), "", None)?;
                format!("{column} {}IN ({rows})", if *is_in { "" } else { "NOT " })
            }
            Condition::Reference { of, test, negated } => {
                let column = self.column(of)?;
                reference(&column, test, *negated)?
            }
            Condition::OtherRow { key, is_other } => {
                let other = format!("{} <> {}", self.column(key)?, self.column(&key.outer()?)?);
                if *is_other { other } else { format!("NOT ({other})") }
            }
            Condition::And(parts) => self.joined(parts, " AND ")?,
            Condition::Or(parts) => self.joined(parts, " OR ")?,
        })
    }

    fn joined(&mut self, parts: &[Condition], by: &str) -> Option<String> {
        let parts = parts.iter().map(|part| self.condition(part));
        Some(format!("({})", parts.collect::<Option<Vec<_>>>()?.join(by)))
    }

    fn test(&mut self, of: &Quantity, test: &AtomTest) -> Option<String> {
        let text = self.quantity(of)?;
        let levels = self.known.levels(of);
        let is_missing = format!("{text} IS NULL");
        let values = test.passing().clone().with_null(false);
        let in_values = || values_in(&text, &levels, &values);
        Some(match (test.passing().has_null(), test.failing().has_null()) {
            (true, _) if values.is_empty() => is_missing,
            (_, true) if values == levels.all() => format!("{text} IS NOT NULL"),
            (true, _) => format!("({} OR {is_missing})", in_values()?),
            (_, true) => format!("({} AND {text} IS NOT NULL)", in_values()?),
            (false, false) => in_values()?,
        })
    }

    fn group(&mut self, group: &Group) -> Option<String> {
        Some(match group {
            Group::Levels { of, level, missing } if self.form.has_labels => {
                self.labeled(of, level.as_ref(), missing.as_ref())?
            }
            Group::Levels { of, missing, .. } => match missing {
                None => self.quantity(of)?,
                Some(missing) => format!("coalesce({}, {})", self.quantity(of)?, literal(missing)?),
            },
            Group::Codes { of, .. } => self.column(of)?,
            Group::Buckets { of, buckets, rest } => {
                let text = self.quantity(of)?;
                let levels = self.known.levels(of);
                let mut cases = Vec::new();
                for bucket in buckets {
                    let values = bucket.atoms.clone().with_null(false);
                    let within = match (values.is_empty(), bucket.atoms.has_null()) {
                        (true, _) => format!("{text} IS NULL"),
                        (false, true) => format!("{} OR {text} IS NULL", values_in(&text, &levels, &values)?),
                        (false, false) => values_in(&text, &levels, &values)?,
                    };
                    cases.push((within, bucket.label.clone()));
                }
                case(&cases, rest.as_ref())?
            }
            Group::Cases { cases, rest } => {
                let mut shown = Vec::new();
                for (condition, label) in cases {
                    shown.push((self.condition(condition)?, label.clone()));
                }
                if shown.is_empty() {
                    shown.push(("false".to_owned(), rest.clone()));
                }
                case(&shown, rest.as_ref())?
            }
        })
    }

    /// The label of the atom of a quantity, as the grid of cells has it.
    fn labeled(&mut self, of: &Quantity, level: Option<&LevelName>, missing: Option<&Value>) -> Option<String> {
        let text = self.quantity(of)?;
        let levels = self.known.levels(of);
        let coarser = level.and_then(|name| levels.level(name));
        let levels = coarser.unwrap_or(levels);
        let missing = match missing {
            Some(Value::Text(label)) => Some(Value::Text(label.clone())),
            Some(other) => Some(Value::Text(literal(other)?)),
            None => None,
        };
        divided((&text, &levels), 0..levels.atoms()?, missing.as_ref())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "every other condition is written")]
    fn cell(&mut self, cell: &CellAggregate, measured: &Measured) -> Option<String> {
        let computed = match cell {
            CellAggregate::Subjects { .. } => match measured {
                Measured::Rows(dataset) if !self.known.is_unique(dataset) => {
                    let scope = self.scopes.last()?;
                    format!(
                        "count(DISTINCT {}.{})",
                        scope.name,
                        quoted(scope.subject.as_ref()?.as_str())
                    )
                }
                Measured::Rows(_) | Measured::Subjects => "count(*)".to_owned(),
            },
            CellAggregate::Rows { .. } => "count(*)".to_owned(),
            CellAggregate::Moments { of, with, output, .. } => {
                let mut operands = self.quantity(of)?;
                if let Some(with) = with {
                    write!(operands, ", {}", self.quantity(with)?).ok()?;
                }
                format!("{}({operands})", output.name())
            }
            CellAggregate::Quantile { of, at, .. } => {
                format!("approx_percentile_cont({}, {:?})", self.quantity(of)?, at.get())
            }
        };
        Some(match cell.filter() {
            Condition::All => computed,
            filter => format!("{computed} FILTER (WHERE {})", self.condition(filter)?),
        })
    }
}

/// The label of the atom, of these, that a value is in; `rest` for others. A planner may write out each branch of a `CASE` with the conditions
/// of those before it, so that one with all atoms would grow with the square of their number.
fn divided((text, levels): (&str, &Levels), atoms: Range<u16>, rest: Option<&Value>) -> Option<String> {
    let size = atoms.end.saturating_sub(atoms.start).div_ceil(BRANCHES).max(1);
    let mut cases = String::new();
    for start in atoms.clone().step_by(usize::from(size)) {
        let part = start..start.saturating_add(size).min(atoms.end);
        let mut set = levels.only(start);
        for at in part.clone().skip(1) {
            set = set.union(&levels.only(at)).ok()?;
        }
        let label = if size == 1 {
            literal(&Value::Text(levels.label(&AtomId::Listed(start))?))?
        } else {
            divided((text, levels), part, None)?
        };
        write!(cases, " WHEN {} THEN {label}", values_in(text, levels, &set)?).ok()?;
    }
    let rest = rest.map_or_else(|| Some(String::new()), |rest| Some(format!(" ELSE {}", literal(rest)?)))?;
    Some(format!("CASE{cases}{rest} END"))
}

fn case(cases: &[(String, Option<Value>)], rest: Option<&Value>) -> Option<String> {
    if cases.is_empty() {
        return None;
    }
    let mut text = "CASE".to_owned();
    for (condition, label) in cases {
        let label = label.as_ref().map_or_else(|| Some("NULL".to_owned()), literal)?;
        write!(text, " WHEN {condition} THEN {label}").ok()?;
    }
    if let Some(rest) = rest {
        write!(text, " ELSE {}", literal(rest)?).ok()?;
    }
    text.push_str(" END");
    Some(text)
}

fn reference(column: &str, test: &ReferenceTest, negated: bool) -> Option<String> {
    let not = if negated { "NOT " } else { "" };
    Some(match test {
        ReferenceTest::OneOf(values) => {
            let values = values.iter().map(literal).collect::<Option<Vec<_>>>()?;
            format!("{column} {not}IN ({})", values.join(", "))
        }
        ReferenceTest::Like { pattern, any_case } => {
            let like = if *any_case { "ILIKE" } else { "LIKE" };
            format!("{column} {not}{like} {}", string(pattern))
        }
    })
}
