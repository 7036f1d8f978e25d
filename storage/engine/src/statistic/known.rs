//! A collection as a grant shows it: what lowering knows about datasets and columns.

mod ancestors;

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{
        AtomTest, CollectionRules, ColumnRole, ColumnRules, Comparison, Contents, DatasetKind, EffectiveColumn,
        KeyDomain, Levels, ListedValues, Range, RawLevels, Reading,
    },
    ids::{ColumnName, DatasetName},
    schema::ColumnKind,
    scope::{Transform, Value},
};

use super::{
    paths::{ColumnPath, Step},
    terms::{Condition, Day, EventSet, Quantity, SubjectValue},
};

/// From this age on people are one category (45 CFR 164.514(b)(2)(i)(C)).
const TOP_AGE: i64 = 90;
/// Seconds of a day.
const DAY_SECONDS: f64 = 86_400.0;
/// Declared numbers of days that conditions can name: each has four edges, and a column of numbers has at most 200.
const MAX_DAYS: usize = 49;

/// A collection under one grant. What is not in it does not exist for the language.
#[derive(Clone, Debug)]
pub struct KnownCollection {
    rules: CollectionRules,
    columns: BTreeMap<DatasetName, BTreeMap<ColumnName, EffectiveColumn>>,
    /// The columns that are shown as they are.
    clear: BTreeSet<(DatasetName, ColumnName)>,
    /// Whether figures have no noise.
    are_figures_exact: bool,
}

impl KnownCollection {
    /// The datasets and columns that `shown` returns a transform for; all others are removed. `oldest_year` is the window's
    /// ([`Levels::under`]).
    #[must_use]
    pub fn new(
        rules: CollectionRules,
        shown: &dyn Fn(&DatasetName, &ColumnName) -> Option<Transform>,
        oldest_year: Option<i32>,
    ) -> Self {
        let mut columns: BTreeMap<DatasetName, BTreeMap<ColumnName, EffectiveColumn>> = BTreeMap::new();
        let mut clear = BTreeSet::new();
        for (dataset, known) in rules.datasets() {
            for (column, declared) in known.columns() {
                let effective = shown(dataset, column).and_then(|transform| declared.under(transform, oldest_year));
                if shown(dataset, column) == Some(Transform::Clear) {
                    clear.insert((dataset.clone(), column.clone()));
                }
                if let Some(effective) = effective {
                    columns
                        .entry(dataset.clone())
                        .or_default()
                        .insert(column.clone(), effective);
                }
            }
        }
        Self {
            rules,
            columns,
            clear,
            are_figures_exact: false,
        }
    }

    /// The same collection under a permission with exact figures, or with noise.
    #[must_use]
    pub const fn with_exact_figures(mut self, are_exact: bool) -> Self {
        self.are_figures_exact = are_exact;
        self
    }

    /// The same collection with these levels of columns.
    pub(crate) fn with_levels(&self, levels: &BTreeMap<(DatasetName, ColumnName), Levels>) -> Self {
        let mut known = self.clone();
        for ((dataset, column), levels) in levels {
            let columns = known.columns.get_mut(dataset);
            if let Some(column) = columns.and_then(|columns| columns.get_mut(column)) {
                column.levels = levels.clone();
            }
        }
        known
    }

    /// The rules of the collection.
    pub const fn rules(&self) -> &CollectionRules {
        &self.rules
    }

    /// What of a column can be used; `None` if the grant does not show it.
    pub fn column(&self, dataset: &DatasetName, column: &ColumnName) -> Option<&EffectiveColumn> {
        self.columns.get(dataset)?.get(column)
    }

    /// How the rows of a dataset lead to subjects; `None` if the grant does not show it.
    pub(super) fn kind(&self, dataset: &DatasetName) -> Option<&DatasetKind> {
        self.columns.get(dataset)?;
        Some(self.rules.dataset(dataset)?.kind())
    }

    /// Whether each subject has at most one row of the dataset.
    #[must_use]
    pub fn is_unique(&self, dataset: &DatasetName) -> bool {
        matches!(
            self.kind(dataset),
            Some(DatasetKind::Keyed { unique: true, .. } | DatasetKind::EachRow)
        )
    }

    /// Whether the rows of the dataset are about no subject.
    pub(super) fn is_reference(&self, dataset: &DatasetName) -> bool {
        matches!(self.kind(dataset), Some(DatasetKind::Reference))
    }

    /// Whether a column has the key of the subject.
    pub(super) fn is_subject(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        self.column(dataset, column).is_some() && self.rules.domain(dataset, column) == Some(KeyDomain::Subject)
    }

    /// Whether a column has a key, or leads to one.
    pub(super) fn is_key(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let rules = self.rules.dataset(dataset).and_then(|rules| rules.column(column));
        rules.is_some_and(|rules| *rules.role() != ColumnRole::Value)
    }

    /// Whether a column that is shown has the key of each row.
    pub(super) fn is_row_key(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let rules = self.rules.dataset(dataset).and_then(|rules| rules.column(column));
        let is_key = rules.is_some_and(|rules| *rules.role() == ColumnRole::Key);
        is_key && self.column(dataset, column).is_some()
    }

    /// Whether a column has another value in each row of its dataset, which can be compared.
    #[must_use]
    pub fn distinguishes_rows(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        let rules = self.rules.dataset(dataset).and_then(|rules| rules.column(column));
        self.is_joinable(dataset, column) && rules.is_some_and(|rules| *rules.role() == ColumnRole::Key)
    }

    /// Whether the values of a column can be compared with those of its domain.
    pub(super) fn is_joinable(&self, dataset: &DatasetName, column: &ColumnName) -> bool {
        self.column(dataset, column).is_some_and(|column| column.is_joinable)
    }

    /// What conditions and groups may distinguish of a quantity.
    pub fn levels(&self, of: &Quantity) -> Levels {
        match of {
            // Of a text only whether it is missing: its edges are those of the number that it is.
            Quantity::Column(path) if self.has_numbers_in_text(path) => Levels::None,
            Quantity::Column(path) => self.levels_of(path.dataset(), path.column()),
            Quantity::InText(path) if self.has_numbers_in_text(path) => self.levels_of(path.dataset(), path.column()),
            Quantity::InText(_) | Quantity::Seconds { .. } => Levels::None,
            Quantity::Days { from, to } if self.day_columns(from, to) => whole(self.day_edges()),
            Quantity::Days { .. } => Levels::None,
            Quantity::Age { born, at } => self.ages(born, at),
            Quantity::Linear { .. } => Levels::None,
            Quantity::OfSubject { of, value } => self.subject_levels(of, value),
        }
    }

    fn levels_of(&self, dataset: &DatasetName, column: &ColumnName) -> Levels {
        self.column(dataset, column)
            .map_or(Levels::None, |column| column.levels.clone())
    }

    fn subject_levels(&self, of: &EventSet, value: &SubjectValue) -> Levels {
        match value {
            SubjectValue::Count => {
                let counts = self.rules.dataset(&of.dataset).map(|rules| rules.counts().as_slice());
                let edges = counts.unwrap_or_default().iter().flat_map(|count| {
                    let count = i64::from(*count);
                    [count, count.saturating_add(1)]
                });
                whole(edges.collect())
            }
            SubjectValue::First(column) | SubjectValue::Last(column) => self.levels_of(&of.dataset, column),
        }
    }

    /// Each declared number of days as `<= n`, `< n`, `> n` and `>= n`, with either sign.
    fn day_edges(&self) -> BTreeSet<i64> {
        let days = self.rules.days().as_slice().iter().take(MAX_DAYS);
        let edges = days.flat_map(|days| {
            let days = i64::from(*days);
            [-days, 1 - days, days, days.saturating_add(1)]
        });
        edges.collect()
    }

    /// Ages exist where both columns are shown with levels.
    fn ages(&self, born: &ColumnPath, at: &Day) -> Levels {
        let parts = [Quantity::Column(born.clone()), at.quantity()];
        if !parts.iter().all(|part| is_plain(&self.levels(part))) {
            return Levels::None;
        }
        let fives = (1..=TOP_AGE / 5).map(|five| five * 5);
        whole(fives.chain([1, 18]).collect())
    }

    /// The range to which contributions are clipped; `None` if the quantity cannot be measured.
    pub fn range(&self, of: &Quantity) -> Option<Range> {
        match of {
            Quantity::Column(path) => {
                let column = self.column(path.dataset(), path.column())?;
                column.measure.filter(|_| !self.has_numbers_in_text(path))
            }
            Quantity::InText(path) => {
                let column = self.column(path.dataset(), path.column())?;
                column.measure.filter(|_| self.has_numbers_in_text(path))
            }
            Quantity::Seconds { from, to } => {
                self.are_times(from, to).then_some(())?;
                let seconds = f64::from(*self.rules.days().as_slice().last()?) * DAY_SECONDS;
                Range::new(-seconds, seconds, None).ok()
            }
            Quantity::Days { from, to } => {
                self.day_columns(from, to).then_some(())?;
                let days = f64::from(*self.rules.days().as_slice().last()?);
                Range::new(-days, days, Some(1.0)).ok()
            }
            Quantity::Age { .. } => {
                let is_shown = self.levels(of) != Levels::None;
                is_shown.then(|| Range::new(0.0, 90.0, Some(1.0)).ok()).flatten()
            }
            Quantity::Linear { terms, plus } => {
                let mut low = plus.get();
                let mut high = plus.get();
                for (factor, path) in terms {
                    let range = self.column(path.dataset(), path.column())?.measure?;
                    let ends = [factor.get() * range.low(), factor.get() * range.high()];
                    low += ends.iter().copied().fold(f64::INFINITY, f64::min);
                    high += ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                }
                Range::new(low, high, None).ok()
            }
            Quantity::OfSubject { of, value } => {
                let counts = self.rules.dataset(&of.dataset)?.counts();
                let most = f64::from(*counts.as_slice().last()?);
                let is_count = *value == SubjectValue::Count;
                is_count.then(|| Range::new(0.0, most, Some(1.0)).ok()).flatten()
            }
        }
    }

    /// Whether both dates are shown with declared levels: differences of others, or of dates that are shown as years, do not exist.
    pub(super) fn day_columns(&self, from: &Day, to: &Day) -> bool {
        [from, to].iter().all(|day| is_plain(&self.levels(&day.quantity())))
    }

    /// The date in a quantity that is shown as its year, so that nothing is known of months and days.
    pub(super) fn shown_as_year(&self, of: &Quantity) -> Option<String> {
        let as_year = |dataset: &DatasetName, column: &ColumnName| {
            let levels = self.levels_of(dataset, column);
            let is_year = matches!(&levels, Levels::Edges(edges) if matches!(edges.reading(), Reading::Years { .. }));
            is_year.then(|| column.to_string())
        };
        match of {
            Quantity::Column(path) => as_year(path.dataset(), path.column()),
            Quantity::Days { from, to } => [from, to].iter().find_map(|day| self.shown_as_year(&day.quantity())),
            Quantity::Age { at, .. } => self.shown_as_year(&at.quantity()),
            Quantity::OfSubject { of, value } => match value {
                SubjectValue::First(column) | SubjectValue::Last(column) => as_year(&of.dataset, column),
                SubjectValue::Count => None,
            },
            Quantity::InText(_) | Quantity::Seconds { .. } | Quantity::Linear { .. } => None,
        }
    }

    /// Whether both columns have points in time of one kind, and are shown with declared levels, as those of [`Self::day_columns`].
    pub(super) fn are_times(&self, from: &ColumnPath, to: &ColumnPath) -> bool {
        let kind = |path: &ColumnPath| match self.contents(path) {
            Some(Contents::Of(kind @ (ColumnKind::Timestamp | ColumnKind::TimestampUtc))) => Some(kind),
            Some(Contents::Of(_) | Contents::Empty) | None => None,
        };
        let are_plain = [from, to]
            .iter()
            .all(|path| is_plain(&self.levels_of(path.dataset(), path.column())));
        are_plain && kind(from).is_some() && kind(from) == kind(to)
    }

    /// Whether edges are declared for the numbers in a column of text.
    pub(super) fn has_numbers_in_text(&self, path: &ColumnPath) -> bool {
        let rules = self.rules.dataset(path.dataset());
        let column = rules.and_then(|rules| rules.column(path.column()));
        column.is_some_and(ColumnRules::has_numbers_in_text)
    }

    fn contents(&self, path: &ColumnPath) -> Option<Contents> {
        Some(self.rules.dataset(path.dataset())?.column(path.column())?.contents())
    }

    /// Whether a quantity is not missing; `None` if its levels do not decide that, which those of a column do. What is computed from several
    /// values is missing if one of them is, so that this is a condition on each of them.
    #[must_use]
    pub fn present(&self, of: Quantity) -> Option<Condition> {
        let parts = match of {
            Quantity::Days { from, to } => vec![from.quantity(), to.quantity()],
            Quantity::Seconds { from, to } => vec![Quantity::Column(from), Quantity::Column(to)],
            Quantity::Age { born, at } if self.has_years(&born) => vec![Quantity::Column(born), at.quantity()],
            Quantity::Linear { terms, .. } => terms.into_iter().map(|(_, path)| Quantity::Column(path)).collect(),
            Quantity::Column(_) | Quantity::InText(_) | Quantity::Age { .. } | Quantity::OfSubject { .. } => {
                let test = self.levels(&of).decide(&Comparison::IsNotNull).ok()?;
                return Some(Condition::Test(of, test));
            }
        };
        let parts = parts.into_iter().map(|part| self.present(part));
        Some(Condition::all(parts.collect::<Option<Vec<_>>>()?))
    }

    /// Whether a column has one of the declared values in each of its rows, and the row is there: it is the one that is counted, or the
    /// subject's own. A row that a link leads to may be missing.
    pub(crate) fn is_complete(&self, of: &Quantity) -> bool {
        let Quantity::Column(path) = of else {
            return false;
        };
        let is_own = matches!(path.via(), [] | [Step::Subject(_)]);
        let column = self.column(path.dataset(), path.column()).filter(|_| is_own);
        column.is_some_and(|column| column.is_complete)
    }

    /// Whether a condition is that a column has a value.
    pub(crate) fn is_of_values(&self, condition: &Condition) -> bool {
        let Condition::Test(of, test) = condition else {
            return false;
        };
        let present = of.is_column().then(|| self.present(of.clone())).flatten();
        matches!(present, Some(Condition::Test(_, present)) if present.passing() == test.passing())
    }

    /// Whether each value of a column has a year: a number that is not whole has none.
    fn has_years(&self, born: &ColumnPath) -> bool {
        self.contents(born)
            .is_some_and(|contents| contents != Contents::Of(ColumnKind::Float))
    }

    /// The same condition where only its truth matters ([`Condition::where_true`]). That what is computed from several values is missing is a
    /// condition on each of them, as in [`Self::present`].
    pub(super) fn where_true(&self, condition: Condition) -> Condition {
        self.missing_in_parts(condition).where_true()
    }

    fn missing_in_parts(&self, condition: Condition) -> Condition {
        if let Condition::Test(of, test) = &condition
            && is_of_parts(of)
            && test.passing().has_null()
        {
            return self.or_missing(of, test).unwrap_or(condition);
        }
        condition.map_parts(|part| self.missing_in_parts(part))
    }

    fn or_missing(&self, of: &Quantity, test: &AtomTest) -> Option<Condition> {
        let present = self.levels(of).decide(&Comparison::IsNotNull).ok()?;
        let present = Condition::Test(of.clone(), test.and(&present).ok()?);
        Some(Condition::any(vec![present, self.present(of.clone())?.negation()]))
    }

    /// `IS TRUE`: the same condition, false where it is unknown. `None` if the levels do not fit, which those of the collection do.
    pub(super) fn is_true(&self, condition: Condition) -> Option<Condition> {
        let each = |parts: Vec<Condition>| {
            parts
                .into_iter()
                .map(|part| self.is_true(part))
                .collect::<Option<Vec<_>>>()
        };
        Some(match condition {
            Condition::And(parts) => Condition::all(each(parts)?),
            Condition::Or(parts) => Condition::any(each(parts)?),
            Condition::Test(of, test) => {
                if test.passing().has_null() || test.failing().has_null() {
                    return Some(Condition::Test(of, test));
                }
                let present = self.levels(&of).decide(&Comparison::IsNotNull).ok()?;
                let test = test.and(&present).ok()?;
                Condition::Test(of, test)
            }
            Condition::Listed { ref of, .. } | Condition::Reference { ref of, .. } => {
                let present = self.present(Quantity::Column(of.clone()))?;
                Condition::all(vec![condition, present])
            }
            Condition::OtherRow { ref key, .. } => {
                let present = [
                    self.present(Quantity::Column(key.clone()))?,
                    self.present(Quantity::Column(key.outer()?))?,
                ];
                Condition::all(present.into_iter().chain([condition]).collect())
            }
            Condition::All | Condition::Never | Condition::Events { .. } => condition,
        })
    }

    /// Whether a column is shown as it is.
    fn is_clear(&self, path: &ColumnPath) -> bool {
        self.clear.contains(&(path.dataset().clone(), path.column().clone()))
    }

    /// The declared names of the values of a column, or of listed codes, if they are those in this column of a reference dataset, and both
    /// columns are shown as they are.
    pub(super) fn names_of(&self, code: &ColumnPath, name: &ColumnPath) -> Option<ListedValues> {
        let Some(Step::Link(link)) = name.via().last() else {
            return None;
        };
        // Codes with one label are one, and their names would distinguish them.
        let is_clear = self.is_clear(code) && self.is_clear(name);
        let column = self.column(code.dataset(), code.column()).filter(|_| is_clear)?;
        match &column.levels {
            Levels::Codes(codes) => {
                let of = codes.names()?;
                let is_name = of.dataset == *name.dataset() && of.name == *name.column() && of.code == link.key;
                codes.named().filter(|_| is_name).cloned()
            }
            Levels::Values(_) => {
                // The link is the one of the column, which leads to a row with the names.
                let names = column.names.as_ref().filter(|names| names.column == *name.column());
                names.map(|names| names.values.clone())
            }
            Levels::None | Levels::Truth | Levels::Edges(_) => None,
        }
    }

    /// The declared texts of listed codes, if they are those in this other column of the row, and both columns are shown as
    /// they are.
    pub(super) fn texts_of(&self, code: &ColumnPath, text: &ColumnPath) -> Option<&ListedValues> {
        let Levels::Codes(codes) = &self.column(code.dataset(), code.column())?.levels else {
            return None;
        };
        let of = codes.names()?;
        let is_clear = self.is_clear(code) && self.is_clear(text);
        let is_text = of.dataset == *code.dataset() && of.code == *code.column() && of.name == *text.column();
        codes.named().filter(|_| is_clear && is_text && code.is_beside(text))
    }

    /// Whether any condition may be put on a column of a reference dataset: its rows are about no subject, and the codes of the subject that
    /// lead to them could be listed one by one. If the column that leads there has no open list, the row that it leads to would be more
    /// than its levels distinguish.
    pub(super) fn is_open(&self, path: &ColumnPath) -> bool {
        if !self.is_reference(path.dataset()) {
            return false;
        }
        match path.linked_by() {
            None => path.via().is_empty(),
            Some(code) if self.is_reference(code.dataset()) => self.is_open(&code),
            Some(code) => matches!(self.levels(&Quantity::Column(code)), Levels::Codes(_)),
        }
    }

    /// Whether a quantity may be measured in sums. A sum with a column of listed values would be a number of rows of these values that is not
    /// decided as one: with another column it is what is left after that one is measured alone, and where figures are exact the mean of
    /// two listed values is the share of each. Flags alone are counted ([`Self::is_flag`]).
    pub fn is_measurable(&self, of: &Quantity) -> bool {
        match of {
            Quantity::Linear { terms, .. } => {
                let mut columns = terms
                    .iter()
                    .map(|(_, path)| self.levels_of(path.dataset(), path.column()));
                !columns.any(|levels| are_listed(&levels))
            }
            Quantity::Column(_)
            | Quantity::InText(_)
            | Quantity::Seconds { .. }
            | Quantity::Days { .. }
            | Quantity::Age { .. }
            | Quantity::OfSubject { .. } => !(self.are_figures_exact && are_listed(&self.levels(of))),
        }
    }

    /// Whether a column is declared with the values 0 and 1 and with the range of them: its sum is a number of rows.
    pub(super) fn is_flag(&self, of: &Quantity) -> bool {
        let is_unit = |range: Range| range.low() == 0.0 && range.high() == 1.0;
        let Levels::Values(values) = self.levels(of) else {
            return false;
        };
        let listed: Vec<&Value> = values.iter().map(|listed| &listed.value).collect();
        self.range(of).is_some_and(is_unit) && listed == [&Value::Int(0), &Value::Int(1)]
    }
}

/// Whether each value is one of a list.
const fn are_listed(levels: &Levels) -> bool {
    match levels {
        Levels::Values(_) | Levels::Truth | Levels::Codes(_) => true,
        Levels::None | Levels::Edges(_) => false,
    }
}

/// Whether values are shown as they are declared, and not as years or bands of ages.
fn is_plain(levels: &Levels) -> bool {
    matches!(levels, Levels::Edges(edges) if edges.reading() == Reading::Plain)
}

/// Levels of whole numbers with these edges.
fn whole(edges: BTreeSet<i64>) -> Levels {
    let edges = edges.into_iter().map(Value::Int).collect();
    let levels = BTreeMap::new();
    let raw = RawLevels::Edges { edges, levels };
    Levels::check(raw, Contents::Of(ColumnKind::Int)).unwrap_or(Levels::None)
}

/// Whether a quantity is computed from several values.
const fn is_of_parts(of: &Quantity) -> bool {
    matches!(
        of,
        Quantity::Days { .. } | Quantity::Seconds { .. } | Quantity::Age { .. } | Quantity::Linear { .. }
    )
}
