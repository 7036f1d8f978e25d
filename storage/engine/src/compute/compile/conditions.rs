//! Conditions and quantities, with the events and lists of codes that they need.

use concordat_protocol::{
    collection::Levels,
    ids::{ColumnName, DatasetName},
};
use concordat_storage::catalog::StoredDataset;

use super::{Compiler, Frame, invalid, position, require_atoms};
use crate::{
    QueryError,
    compute::{
        classify::{CodeIndex, passing_spans, tester},
        like::Like,
        plan::{Check, DayOf, DaySpans, EventsSource, EventsUses, ListSource, Operand, Pattern, ValueOf, ValueRef},
    },
    statistic::{ColumnPath, Condition, Day, EventSet, KeyList, Quantity, ReferenceTest, Row, SubjectValue},
};

impl Compiler<'_> {
    /// A condition on rows of `this`; `outer` are the rows around a set of events.
    pub(in crate::compute) fn check(
        &mut self,
        condition: &Condition,
        this: &mut Frame,
        outer: Option<&mut Frame>,
    ) -> Result<Check, QueryError> {
        Ok(match condition {
            Condition::All => Check::All,
            Condition::Never => Check::Never,
            Condition::Test(of, test) => {
                let levels = self.known.levels(of);
                require_atoms(&levels, test.passing())?;
                Check::Test {
                    of: self.operand(of, this, outer)?,
                    test: Box::new(tester(levels, test.clone())),
                }
            }
            Condition::Events { of, exist } => self.events_check(of, *exist, this)?,
            Condition::Listed { of, list, is_in } => {
                self.require_codes(of)?;
                Check::Listed {
                    of: self.path(of, this, outer)?,
                    list: self.list(list)?,
                    is_in: *is_in,
                }
            }
            Condition::Reference { of, test, negated } => {
                self.require_open(of)?;
                Check::Reference {
                    of: self.path(of, this, outer)?,
                    test: pattern(test),
                    negated: *negated,
                }
            }
            Condition::OtherRow { key, is_other } => {
                let is_key = self.known.distinguishes_rows(key.dataset(), key.column());
                let around = key.outer().filter(|_| is_key);
                let around = around.ok_or_else(|| invalid(format!("`{}` is not a key of a row", key.column())))?;
                Check::OtherRow {
                    of: self.path(key, this, None)?,
                    around: self.path(&around, this, outer)?,
                    is_other: *is_other,
                }
            }
            Condition::And(parts) => Check::And(self.checks(parts, this, outer)?),
            Condition::Or(parts) => Check::Or(self.checks(parts, this, outer)?),
        })
    }

    fn checks<'c>(
        &mut self,
        conditions: impl IntoIterator<Item = &'c Condition>,
        this: &mut Frame,
        mut outer: Option<&mut Frame>,
    ) -> Result<Vec<Check>, QueryError> {
        let mut checks = Vec::new();
        for condition in conditions {
            checks.push(self.check(condition, this, outer.as_deref_mut())?);
        }
        Ok(checks)
    }

    /// Whether the subject of a row of `around` has an event.
    fn events_check(&mut self, of: &EventSet, exist: bool, around: &mut Frame) -> Result<Check, QueryError> {
        let parts = of.rows.conjuncts().iter();
        let (relating, own): (Vec<&Condition>, Vec<&Condition>) = parts.partition(|part| names_outer(part));
        if relating.is_empty() {
            let events = self.events(of)?;
            self.uses(events, |uses| uses.subjects = true);
            return Ok(Check::Events { events, exist });
        }
        let dataset = self.event_dataset(&of.dataset)?;
        let mut frame = Frame::of(Some(of.dataset.clone()));
        let rows = Check::And(self.checks(own, &mut frame, None)?);
        if let Some((day, days)) = self.day_spans(&relating, &mut frame, &mut *around)? {
            let uses = EventsUses {
                days: Some(day),
                ..EventsUses::default()
            };
            let events = self.add_events(dataset, frame, (rows, uses), None);
            let days = Box::new(days);
            return Ok(Check::Within { events, days, exist });
        }
        let related = Check::And(self.checks(relating, &mut frame, Some(around))?);
        let uses = EventsUses {
            rows: true,
            ..EventsUses::default()
        };
        let events = self.add_events(dataset, frame, (rows, uses), None);
        Ok(Check::Related {
            events,
            related: Box::new(related),
            exist,
        })
    }

    /// The day of an event and its distance from one of the row, if nothing else relates them: a search among sorted days is enough then,
    /// also for a subject with many events.
    fn day_spans(
        &mut self,
        relating: &[&Condition],
        frame: &mut Frame,
        around: &mut Frame,
    ) -> Result<Option<(DayOf, DaySpans)>, QueryError> {
        let [Condition::Test(of, test)] = relating else {
            return Ok(None);
        };
        let levels = self.known.levels(of);
        require_atoms(&levels, test.passing())?;
        let (Quantity::Days { from, to }, Some(spans)) = (of, passing_spans(&levels, test)) else {
            return Ok(None);
        };
        let is_forward = names_outer_day(from);
        if is_forward && names_outer_day(to) {
            return Ok(None);
        }
        let (of_event, of_row) = if is_forward { (to, from) } else { (from, to) };
        let of_event = self.day(of_event, frame, None)?;
        let of_row = self.day(of_row, frame, Some(around))?;
        let days = DaySpans {
            of_row,
            is_forward,
            spans,
        };
        Ok(Some((of_event, days)))
    }

    /// Events that do not depend on a row around them, each set once.
    fn events(&mut self, of: &EventSet) -> Result<usize, QueryError> {
        let known = |set: &Option<EventSet>| set.as_ref() == Some(of);
        if let Some(events) = self.event_sets.iter().position(known) {
            return Ok(events);
        }
        let dataset = self.event_dataset(&of.dataset)?;
        let mut frame = Frame::of(Some(of.dataset.clone()));
        let rows = self.check(&of.rows, &mut frame, None)?;
        Ok(self.add_events(dataset, frame, (rows, EventsUses::default()), Some(of.clone())))
    }

    fn add_events(
        &mut self,
        dataset: StoredDataset,
        frame: Frame,
        (rows, uses): (Check, EventsUses),
        set: Option<EventSet>,
    ) -> usize {
        self.sources.events.push(EventsSource {
            dataset,
            columns: frame.columns,
            rows,
            uses,
        });
        self.event_sets.push(set);
        self.event_sets.len().saturating_sub(1)
    }

    fn event_dataset(&self, name: &DatasetName) -> Result<StoredDataset, QueryError> {
        if self.is_reference(name) {
            return Err(invalid(format!("the rows of `{name}` are about no subject")));
        }
        self.dataset(name)
    }

    fn uses(&mut self, events: usize, change: impl FnOnce(&mut EventsUses)) {
        if let Some(source) = self.sources.events.get_mut(events) {
            change(&mut source.uses);
        }
    }

    /// The position of a list of keys among those that are read.
    pub(in crate::compute) fn list(&mut self, list: &KeyList) -> Result<usize, QueryError> {
        if let Some(known) = self.key_lists.iter().position(|known| known == list) {
            return Ok(known);
        }
        if !self.is_reference(&list.dataset) {
            return Err(invalid(format!("the rows of `{}` are about subjects", list.dataset)));
        }
        let dataset = self.dataset(&list.dataset)?;
        self.require_shown(&list.dataset, &list.key)?;
        let mut frame = Frame::of(Some(list.dataset.clone()));
        let key = position(&mut frame.columns, &list.key);
        let rows = self.check(&list.rows, &mut frame, None)?;
        self.sources.lists.push(ListSource {
            dataset,
            columns: frame.columns,
            key,
            rows,
            is_alone: is_of_row(&list.rows),
        });
        self.key_lists.push(list.clone());
        Ok(self.key_lists.len().saturating_sub(1))
    }

    /// A quantity of a row.
    pub(in crate::compute) fn operand(
        &mut self,
        of: &Quantity,
        this: &mut Frame,
        mut outer: Option<&mut Frame>,
    ) -> Result<Operand, QueryError> {
        self.require_computable(of)?;
        Ok(match of {
            Quantity::Column(path) => Operand::Column(self.path(path, this, outer)?),
            Quantity::InText(path) => Operand::InText(self.path(path, this, outer)?),
            Quantity::Seconds { from, to } => Operand::Seconds {
                from: self.path(from, this, outer.as_deref_mut())?,
                to: self.path(to, this, outer)?,
            },
            Quantity::Days { from, to } => Operand::Days {
                from: self.day(from, this, outer.as_deref_mut())?,
                to: self.day(to, this, outer)?,
            },
            Quantity::Age { born, at } => Operand::Age {
                born: self.path(born, this, outer.as_deref_mut())?,
                at: self.day(at, this, outer)?,
            },
            Quantity::Linear { terms, plus } => {
                let mut compiled = Vec::new();
                for (factor, path) in terms {
                    let range = self.known.range(&Quantity::Column(path.clone()));
                    let range = range.ok_or_else(|| invalid("a sum with a column that has no range"))?;
                    compiled.push((factor.get(), self.path(path, this, outer.as_deref_mut())?, range));
                }
                Operand::Linear {
                    terms: compiled,
                    plus: plus.get(),
                }
            }
            Quantity::OfSubject { of, value } => Operand::Subject(self.value(of, value)?),
        })
    }

    /// Refuses numbers in texts for which no edges are declared, seconds between what are not points in time, and sums of columns that have no
    /// range or listed values: their values are finer than what the permission shows of these columns.
    fn require_computable(&self, of: &Quantity) -> Result<(), QueryError> {
        let is_shown = match of {
            Quantity::InText(_) => matches!(self.known.levels(of), Levels::Edges(_)),
            Quantity::Seconds { .. } => self.known.range(of).is_some(),
            Quantity::Linear { .. } => self.known.range(of).is_some() && self.known.is_measurable(of),
            Quantity::Column(_) | Quantity::Days { .. } | Quantity::Age { .. } | Quantity::OfSubject { .. } => true,
        };
        if is_shown {
            Ok(())
        } else {
            Err(invalid(
                "values of a column that the permission does not show in this form",
            ))
        }
    }

    fn day(&mut self, day: &Day, this: &mut Frame, outer: Option<&mut Frame>) -> Result<DayOf, QueryError> {
        Ok(match day {
            Day::Column(path) => DayOf::Column(self.path(path, this, outer)?),
            Day::OfSubject { of, value } => DayOf::Subject(self.value(of, value)?),
        })
    }

    fn value(&mut self, of: &EventSet, value: &SubjectValue) -> Result<ValueRef, QueryError> {
        if names_outer(&of.rows) {
            return Err(invalid("a value of a subject does not depend on a row"));
        }
        let events = self.events(of)?;
        let of = match value {
            SubjectValue::Count => {
                self.uses(events, |uses| uses.counts = true);
                ValueOf::Count
            }
            SubjectValue::First(column) => {
                let column = self.event_column(events, &of.dataset, column)?;
                let mut at = 0;
                self.uses(events, |uses| at = position(&mut uses.firsts, &column));
                ValueOf::First(at)
            }
            SubjectValue::Last(column) => {
                let column = self.event_column(events, &of.dataset, column)?;
                let mut at = 0;
                self.uses(events, |uses| at = position(&mut uses.lasts, &column));
                ValueOf::Last(at)
            }
        };
        Ok(ValueRef { events, of })
    }

    fn event_column(&mut self, events: usize, dataset: &DatasetName, name: &ColumnName) -> Result<usize, QueryError> {
        self.require_shown(dataset, name)?;
        let source = self.sources.events.get_mut(events);
        let source = source.ok_or(QueryError::Engine { step: "planning" })?;
        Ok(position(&mut source.columns, name))
    }
}

fn pattern(test: &ReferenceTest) -> Pattern {
    match test {
        ReferenceTest::OneOf(values) => Pattern::OneOf {
            codes: CodeIndex::new(values),
            count: values.len(),
        },
        ReferenceTest::Like { pattern, any_case } => Pattern::Like(Like::new(pattern, *any_case)),
    }
}

/// Whether a condition follows from the row alone, with what is reached from it by keys.
fn is_of_row(condition: &Condition) -> bool {
    match condition {
        Condition::All | Condition::Never | Condition::Test(..) | Condition::Reference { .. } => true,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().all(is_of_row),
        Condition::Events { .. } | Condition::Listed { .. } | Condition::OtherRow { .. } => false,
    }
}

/// Whether a condition is about the row around the events. What it requires of further events is about its own row.
fn names_outer(condition: &Condition) -> bool {
    match condition {
        Condition::Test(of, _) => is_outer(of),
        Condition::Listed { of, .. } | Condition::Reference { of, .. } => of.row() == Row::Outer,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(names_outer),
        Condition::OtherRow { .. } => true,
        Condition::All | Condition::Never | Condition::Events { .. } => false,
    }
}

fn is_outer(of: &Quantity) -> bool {
    let outer = |path: &ColumnPath| path.row() == Row::Outer;
    match of {
        Quantity::Column(path) | Quantity::InText(path) => outer(path),
        Quantity::Seconds { from, to } => outer(from) || outer(to),
        Quantity::Days { from, to } => names_outer_day(from) || names_outer_day(to),
        Quantity::Age { born, at } => outer(born) || names_outer_day(at),
        Quantity::Linear { terms, .. } => terms.iter().any(|(_, path)| outer(path)),
        Quantity::OfSubject { .. } => false,
    }
}

fn names_outer_day(day: &Day) -> bool {
    matches!(day, Day::Column(path) if path.row() == Row::Outer)
}
