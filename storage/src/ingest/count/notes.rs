//! What the steward should know about a file that was read to its end.

use concordat_protocol::schema::{ColumnKind, is_age, is_birth};

use super::{Count, LastRow, RepeatedHeaders};
use crate::ingest::{
    column_stats::ColumnStats, hints::FormsFound, names::Name, notation::DateFormat, note::Note,
    options::RepeatedHeader, proposal::Proposal, row_source::Ending,
};

impl Count {
    /// Everything that the steward should know; the first notes are those about the options and the first line.
    pub(in crate::ingest) fn notes(&self, names: &[Name], first: Vec<Note>, ending: &Ending) -> Vec<Note> {
        let mut notes = first;
        let columns = names.iter().zip(&self.stats).zip(&ending.stored_as_text);
        for (((name, stats), is_text), proposal) in columns.zip(self.proposals()) {
            if name.name != name.given {
                notes.push(Note::Renamed {
                    given: name.given.clone(),
                    name: name.name.clone(),
                });
            }
            let is_proposed = proposal.is_some();
            notes.extend(self.main_note(&name.name, stats, *is_text, proposal));
            notes.extend(hints(&name.name, stats));
            notes.extend(self.about_texts(&name.name, stats, is_proposed));
        }
        notes.extend(self.rounded_subjects(names));
        for (Name { name, .. }, count) in names.iter().zip(&ending.errors) {
            if *count > 0 {
                notes.push(Note::ErrorCells {
                    column: name.clone(),
                    count: *count,
                });
            }
        }
        notes.extend(self.repeats.note(names, self.subject));
        notes.extend(age_and_birth(names));
        if ending.blank_lines > 0 {
            notes.push(Note::BlankLines {
                count: ending.blank_lines,
            });
        }
        if self.rows_without_values > 0 {
            notes.push(Note::RowsWithoutValues {
                count: self.rows_without_values,
            });
        }
        notes.extend(self.repeated_header());
        notes.extend(self.total());
        notes.extend(ending.notes.iter().map(|note| with_name(note, names)));
        notes
    }

    /// What is proposed for each column. What would change another column for the worse is proposed for the column alone.
    fn proposals(&self) -> Vec<Option<Proposal>> {
        let proposals: Vec<Option<Proposal>> = self.stats.iter().map(ColumnStats::proposal).collect();
        let are_points_used = self.stats.iter().any(ColumnStats::has_decimal_points);
        let stated = proposals.iter().flatten();
        let patterns: Vec<String> = stated.flat_map(|proposal| proposal.patterns().map(swapped)).collect();
        let is_contradicted = |pattern: &str| patterns.iter().any(|other| other == pattern);
        let choose = |proposal: Proposal| {
            let is_for_column =
                (are_points_used && proposal.states_comma()) || proposal.patterns().any(&is_contradicted);
            if is_for_column { proposal.for_column() } else { proposal }
        };
        proposals.into_iter().map(|proposal| proposal.map(&choose)).collect()
    }

    /// How a column was read, if that is worth a note.
    fn main_note(&self, name: &str, stats: &ColumnStats, is_text: bool, proposal: Option<Proposal>) -> Option<Note> {
        let column = name.to_owned();
        let numbering = self.format.numbering();
        if !stats.has_values() && self.rows > 0 {
            let typed = stats.has_kind();
            return Some(Note::NoValues { column, typed });
        }
        if let (Some((count, line)), Some(zone)) = (stats.clock_changes(), stats.stated_reading().text.zone) {
            return Some(Note::ClockChange {
                column,
                zone: zone.name(),
                count,
                line,
                numbering,
            });
        }
        if stats.has_usual_numbers() == Some(true) {
            return Some(Note::PointsAsThousands { column });
        }
        if stats.are_points_undecided() {
            return Some(Note::PointsUndecided { column });
        }
        if let Some(proposal) = proposal {
            return Some(Note::Proposal {
                column,
                proposal,
                numbering,
            });
        }
        if let Some(reason) = stats.text_reason() {
            return Some(Note::StaysText { column, reason });
        }
        if let Some(line) = stats.inexact() {
            return Some(Note::InexactNumbers {
                column,
                line,
                numbering,
            });
        }
        if stats.keeps_digits() {
            return Some(Note::KeptDigits { column });
        }
        if let Some(decimals) = stats.fixed_decimals() {
            return Some(Note::FixedDecimals { column, decimals });
        }
        if let Some((from, line)) = stats.became_text() {
            return Some(Note::BecameText {
                column,
                from,
                line,
                numbering,
            });
        }
        if let Some((count, line)) = stats.few_texts() {
            return Some(Note::FewTexts {
                column,
                count,
                line,
                numbering,
            });
        }
        let kind = stats.kind();
        (is_text && loses_writing(kind)).then_some(Note::ReadFromText { column, kind })
    }

    /// What the values of a column of text suggest. A proposal for the column states its words for missing values already.
    fn about_texts(&self, name: &str, stats: &ColumnStats, is_proposed: bool) -> Vec<Note> {
        let column = || name.to_owned();
        let numbering = self.format.numbering();
        let words = stats.missing_words().filter(|_| !is_proposed);
        let words = words.map(|(words, count)| Note::MissingWordsAsText {
            column: column(),
            words: words.to_vec(),
            count,
        });
        let spellings = stats.several_spellings().map(|(count, line)| Note::Spellings {
            column: column(),
            count,
            line,
            numbering,
        });
        words.into_iter().chain(spellings).collect()
    }

    /// The rows that repeat the names of the columns, if there are any.
    fn repeated_header(&self) -> Option<Note> {
        let RepeatedHeaders { rule, count, first } = self.repeated_headers;
        let line = first?;
        let numbering = self.format.numbering();
        Some(match rule {
            RepeatedHeader::Row => Note::RepeatedHeader { count, line, numbering },
            RepeatedHeader::LeftOut => Note::RepeatedHeaderLeftOut { count, line, numbering },
        })
    }

    /// The column of the subjects, if different people may have the same number in it.
    fn rounded_subjects(&self, names: &[Name]) -> Option<Note> {
        let index = self.subject?;
        Some(Note::RoundedSubjects {
            column: names.get(index)?.name.clone(),
            line: self.stats.get(index)?.rounded()?,
            numbering: self.format.numbering(),
        })
    }

    /// The last row, if it may add up the others.
    fn total(&self) -> Option<Note> {
        let LastRow {
            line,
            is_total,
            has_value,
        } = self.last_row.as_ref()?;
        let mut columns = self.stats.iter().zip(has_value);
        let is_sum = columns.any(|(stats, has_value)| *has_value && stats.ends_with_sum());
        (self.rows > 1 && (*is_total || is_sum)).then_some(Note::LastRowTotal {
            line: *line,
            numbering: self.format.numbering(),
        })
    }
}

/// What the values of a column suggest besides how it was read.
fn hints(name: &str, stats: &ColumnStats) -> Vec<Note> {
    let column = || name.to_owned();
    let mut notes = forms(name, stats);
    notes.extend(stats.missing_in_range().map(|(word, count)| Note::MissingInRange {
        column: column(),
        word: word.clone(),
        count,
    }));
    let words = stats.possible_markers();
    if !words.is_empty() {
        notes.push(Note::MaybeMissing {
            column: column(),
            words,
        });
    }
    notes.extend(
        stats
            .digits()
            .map(|form| Note::DatesInDigits { column: column(), form }),
    );
    if stats.are_serial_days() && is_named_as_date(name) {
        notes.push(Note::SerialDates { column: column() });
    }
    let count = stats.markers_as_text();
    if count > 0 {
        notes.push(Note::MarkersAsText {
            column: column(),
            count,
        });
    }
    notes
}

/// In which of the stated forms the dates of a column were read, if that is worth a note.
fn forms(name: &str, stats: &ColumnStats) -> Vec<Note> {
    let reading = stats.stated_reading();
    let column = name.to_owned();
    let all = &reading.text.dates;
    let pattern = |form: &usize| all.get(*form).map(|form| form.pattern().to_owned());
    let (in_use, choice): (Vec<&DateFormat>, Option<Note>) = match stats.forms() {
        FormsFound::None => return Vec::new(),
        FormsFound::Several(0) => (all.iter().collect(), None),
        FormsFound::Several(count) => {
            let note = Note::MixedDateForms { column, count };
            (all.iter().collect(), Some(note))
        }
        FormsFound::One(form, others) => {
            let others: Vec<String> = others.iter().filter_map(pattern).collect();
            let is_open = !others.is_empty() && !reading.has_own_forms;
            let note = pattern(&form)
                .filter(|_| is_open)
                .map(|chosen| Note::DateForms { column, chosen, others });
            (all.get(form).into_iter().collect(), note)
        }
    };
    let mut short = in_use.iter().filter_map(|form| form.short_years());
    let years = short.next().map(|(first, last)| Note::ShortYears {
        column: name.to_owned(),
        first,
        last,
    });
    choice.into_iter().chain(years).collect()
}

/// Ends of the words with which a column is named as a date: `date_of_visit`, `VisitDate`, `datum1`.
const DATE_ENDS: [&str; 5] = ["date", "datetime", "datum", "dátum", "fecha"];
/// Words with such an end that are others.
const OTHER_WORDS: [&str; 3] = ["candidate", "mandate", "validate"];

fn is_named_as_date(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut words = lower
        .split('_')
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let is_date = |word: &str| DATE_ENDS.iter().any(|end| word.ends_with(*end)) && !OTHER_WORDS.contains(&word);
    is_birth(name) || words.any(|word| is_date(word) || word == "dt")
}

fn age_and_birth(names: &[Name]) -> Option<Note> {
    let called = |is_so: fn(&str) -> bool| names.iter().find(|column| is_so(&column.name));
    let age = called(is_age)?;
    let birth = called(is_birth)?;
    Some(Note::AgeAndBirth {
        age: age.name.clone(),
        birth: birth.name.clone(),
    })
}

/// A note of a format, which knows columns by their names in the file.
fn with_name(note: &Note, names: &[Name]) -> Note {
    let mut note = note.clone();
    if let Note::ShownZeros { column } = &mut note
        && let Some(named) = names.iter().find(|name| name.given == *column)
    {
        column.clone_from(&named.name);
    }
    note
}

/// The form of dates with day and month the other way round.
fn swapped(pattern: &str) -> String {
    /// No form contains it.
    const PLACE: &str = "\0";
    pattern.replace("%d", PLACE).replace("%m", "%d").replace(PLACE, "%m")
}

/// Whether text that is read as this kind can lose what was written, such as zeros at the end of a fraction.
fn loses_writing(kind: ColumnKind) -> bool {
    match kind {
        ColumnKind::Int | ColumnKind::Float | ColumnKind::Boolean => true,
        ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampUtc | ColumnKind::Text => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dates_are_known() {
        for name in [
            "date",
            "visit_date",
            "VisitDate",
            "date_of_visit",
            "Datum",
            "aufnahmedatum",
            "date2",
            "birth",
            "dob",
            "last_update",
            "visit_dt",
        ] {
            assert!(is_named_as_date(name), "{name}");
        }
        for name in [
            "candidate_id",
            "salary",
            "zip",
            "dates_n",
            "days",
            "id",
            "mandate",
            "width",
        ] {
            assert!(!is_named_as_date(name), "{name}");
        }
    }
}
