//! Quantities as SQL: columns of a row and of those that it reaches, what is computed of them, and values of the subject.

use concordat_protocol::{
    collection::Contents,
    ids::{ColumnName, DatasetName},
    schema::ColumnKind,
};

use super::{Printer, values::quoted};
use crate::statistic::{
    paths::{ColumnPath, Row, Step},
    terms::{Day, EventSet, Quantity, SubjectValue},
};

impl Printer<'_> {
    pub(super) fn column(&mut self, path: &ColumnPath) -> Option<String> {
        let from_end = match path.row() {
            Row::This => 1,
            Row::Outer => 2,
        };
        let at = self.scopes.len().checked_sub(from_end)?;
        let name = self.reach(at, path.via())?;
        Some(format!("{name}.{}", quoted(path.column().as_str())))
    }

    /// The name of the row that steps lead to, which is joined if it is not yet.
    fn reach(&mut self, at: usize, via: &[Step]) -> Option<String> {
        let Some((step, before)) = via.split_last() else {
            return Some(self.scopes.get(at)?.name.clone());
        };
        if let Some((_, name, _)) = self.scopes.get(at)?.reached.iter().find(|(steps, _, _)| steps == via) {
            return Some(name.clone());
        }
        let from = self.reach(at, before)?;
        let (own, key) = match step {
            Step::Link(link) => (link.column.clone(), link.key.clone()),
            Step::Subject(dataset) => {
                let scope = self.scopes.get(at)?;
                let from = before.last().map(Step::to).or(scope.dataset.as_ref())?.clone();
                (self.subject_of(&from)?, self.subject_of(dataset)?)
            }
        };
        let name = self.name();
        let text = format!(
            " LEFT JOIN {} AS {name} ON {name}.{} = {from}.{}",
            quoted(step.to().as_str()),
            quoted(key.as_str()),
            quoted(own.as_str())
        );
        self.scopes
            .get_mut(at)?
            .reached
            .push((via.to_vec(), name.clone(), text));
        Some(name)
    }

    pub(super) fn quantity(&mut self, of: &Quantity) -> Option<String> {
        Some(match of {
            Quantity::Column(path) => self.column(path)?,
            Quantity::InText(path) => format!("TRY_CAST({} AS DOUBLE)", self.column(path)?),
            Quantity::Seconds { from, to } => {
                // The difference of two points in time would be whole seconds at tier `records`.
                let [to, from] = [self.column(to)?, self.column(from)?];
                format!("(date_part('epoch', {to}) - date_part('epoch', {from}))")
            }
            Quantity::Days { from, to } => format!("({} - {})", self.day(to)?, self.day(from)?),
            Quantity::Age { born, at } => {
                let year = format!("date_part('year', {})", self.day(at)?);
                let column = self.column(born)?;
                let is_year = self.kind(born.dataset(), born.column()) == Some(ColumnKind::Int);
                let born = if is_year {
                    column
                } else {
                    format!("date_part('year', {column})")
                };
                format!("({year} - {born})")
            }
            Quantity::Linear { terms, plus } => {
                let mut parts = Vec::new();
                for (factor, path) in terms {
                    parts.push(format!("{:?} * {}", factor.get(), self.column(path)?));
                }
                if plus.get() != 0.0 {
                    parts.push(format!("{:?}", plus.get()));
                }
                format!("({})", parts.join(" + "))
            }
            Quantity::OfSubject { of, value } => self.subject_value(of, value)?,
        })
    }

    fn day(&mut self, day: &Day) -> Option<String> {
        let (dataset, column) = match day {
            Day::Column(path) => (path.dataset(), path.column()),
            Day::OfSubject {
                of,
                value: SubjectValue::First(column) | SubjectValue::Last(column),
            } => (&of.dataset, column),
            Day::OfSubject { .. } => return None,
        };
        let is_day = self.kind(dataset, column) == Some(ColumnKind::Date);
        let text = self.quantity(&day.quantity())?;
        Some(if is_day { text } else { format!("CAST({text} AS DATE)") })
    }

    fn kind(&self, dataset: &DatasetName, column: &ColumnName) -> Option<ColumnKind> {
        match self.known.rules().dataset(dataset)?.column(column)?.contents() {
            Contents::Of(kind) => Some(kind),
            Contents::Empty => None,
        }
    }

    /// A value of the subject, from a table with one row for each.
    fn subject_value(&mut self, of: &EventSet, value: &SubjectValue) -> Option<String> {
        let scope = self.scopes.last()?;
        let known = scope
            .values
            .iter()
            .find(|(events, known, _, _)| events == of && known == value);
        if let Some((_, _, name, _)) = known {
            return Some(format!("{name}.v"));
        }
        let around = format!("{}.{}", scope.name, quoted(scope.subject.as_ref()?.as_str()));
        let subject = quoted(self.subject_of(&of.dataset)?.as_str());
        let computed = match value {
            SubjectValue::Count => "count(*)".to_owned(),
            SubjectValue::First(column) => format!("min(#.{})", quoted(column.as_str())),
            SubjectValue::Last(column) => format!("max(#.{})", quoted(column.as_str())),
        };
        let shown = format!("#.{subject}, {computed} AS v");
        let rows = self.rows(of, &shown, &format!(" GROUP BY #.{subject}"), None)?;
        let name = self.name();
        let text = format!(" LEFT JOIN ({rows}) AS {name} ON {name}.{subject} = {around}");
        let scope = self.scopes.last_mut()?;
        scope.values.push((of.clone(), value.clone(), name.clone(), text));
        Some(format!("{name}.v"))
    }
}
