//! The columns that an expression can refer to.

use std::ops::Range;

use datafusion::sql::sqlparser::ast::{Expr, Ident};

/// The names of columns, if they are known.
pub(super) type Columns = Option<Vec<String>>;

/// A table in `FROM`.
pub(super) struct Source {
    /// What is written before a column to mean that of this table: its alias or its name; empty if it has none.
    pub(super) path: Vec<Ident>,
    pub(super) columns: Columns,
    /// Whether only the condition of its join can refer to it, as in a semi join.
    pub(super) hidden: bool,
}

/// A column of a table in `FROM`: the number of the table, and the column's name.
pub(super) type Part = (usize, String);

/// A column that several tables have in common, because they are joined by it.
#[derive(Clone)]
pub(super) struct Merged {
    pub(super) name: String,
    pub(super) value: Expr,
    /// The columns that it stands for.
    pub(super) parts: Vec<Part>,
}

/// The tables that an expression can refer to.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub(super) sources: Vec<Source>,
    pub(super) merged: Vec<Merged>,
    pub(super) outer: Option<&'a Self>,
}

impl Source {
    pub(super) fn new(path: Vec<Ident>, columns: Columns) -> Self {
        Self {
            path,
            columns,
            hidden: false,
        }
    }

    fn name(&self) -> Option<&str> {
        self.path.last().map(|ident| ident.value.as_str())
    }

    fn known(&self) -> &[String] {
        self.columns.as_deref().unwrap_or_default()
    }
}

impl<'a> Scope<'a> {
    pub(super) fn inside(outer: &'a Self) -> Self {
        Self {
            outer: Some(outer),
            ..Self::default()
        }
    }

    /// The only table of that name.
    pub(super) fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name() == Some(name))
    }

    /// The columns of the tables with these numbers that `name` can mean without a table before it: the exact ones if there are any,
    /// otherwise those in another case.
    fn parts(&self, name: &str, sources: Range<usize>) -> Vec<Part> {
        let lower = name.to_lowercase();
        let all = || {
            let numbered = self.sources.iter().enumerate().filter(|(n, _)| sources.contains(n));
            let visible = numbered.filter(|(_, source)| !source.hidden);
            visible.flat_map(|(n, source)| source.known().iter().map(move |column| (n, column.clone())))
        };
        let exact: Vec<Part> = all().filter(|(_, column)| column == name).collect();
        if !exact.is_empty() {
            return exact;
        }
        all().filter(|(_, column)| column.to_lowercase() == lower).collect()
    }

    /// Whether `name` can mean a column of the tables with these numbers.
    pub(super) fn has(&self, name: &str, sources: &Range<usize>) -> bool {
        !self.parts(name, sources.clone()).is_empty()
    }

    /// The one column of the tables with these numbers that `name` means: of a table, or that several have in common.
    pub(super) fn only(&self, name: &str, sources: Range<usize>) -> Option<Merged> {
        let parts = self.parts(name, sources);
        let [first, others @ ..] = parts.as_slice() else {
            return None;
        };
        let merged = self.merged.iter().find(|merged| merged.parts.contains(first));
        match merged {
            Some(merged) => others
                .iter()
                .all(|part| merged.parts.contains(part))
                .then(|| merged.clone()),
            None if others.is_empty() => self.column(first),
            None => None,
        }
    }

    /// A column of a table, with the table before it.
    pub(super) fn column(&self, (source, column): &Part) -> Option<Merged> {
        let mut path = self.sources.get(*source)?.path.clone();
        path.push(Ident::with_quote('"', column));
        Some(Merged {
            name: column.clone(),
            value: Expr::CompoundIdentifier(path),
            parts: vec![(*source, column.clone())],
        })
    }

    /// What a name without a table stands for, if it is a column that several tables have in common. One of the `answer` is meant before it.
    pub(super) fn in_common(&self, name: &str, answer: &[String]) -> Option<Merged> {
        if answer.iter().any(|known| known == name) {
            return None;
        }
        if self.parts(name, 0..self.sources.len()).is_empty() {
            return self.outer?.in_common(name, &[]);
        }
        let found = self.only(name, 0..self.sources.len())?;
        (found.parts.len() > 1).then_some(found)
    }
}

/// Replaces a name without a table.
pub(super) fn bare(name: &mut Ident, scope: &Scope<'_>, aliases: &[String]) {
    let mut next = Some(scope);
    let mut aliases = aliases;
    while let Some(scope) = next {
        let columns = scope.sources.iter().flat_map(|source| source.known());
        if columns.clone().chain(aliases).any(|known| *known == name.value) {
            return;
        }
        if scope.sources.iter().any(|source| source.columns.is_none()) {
            return;
        }
        let column = only(columns, &name.value);
        match column {
            Found::None => {}
            Found::One(column) => {
                name.value.clone_from(column);
                return;
            }
            Found::Several => return,
        }
        if let Found::One(alias) = only(aliases.iter(), &name.value) {
            name.value.clone_from(alias);
            return;
        }
        aliases = &[];
        next = scope.outer;
    }
}

/// Replaces the last part of a name with a table.
pub(super) fn qualified(path: &mut [Ident], scope: &Scope<'_>) {
    let [.., table, name] = path else { return };
    let mut next = Some(scope);
    while let Some(scope) = next {
        if let Some(source) = scope.source(&table.value) {
            let Some(columns) = &source.columns else { return };
            if !columns.contains(&name.value)
                && let Found::One(column) = only(columns.iter(), &name.value)
            {
                name.value.clone_from(column);
            }
            return;
        }
        next = scope.outer;
    }
}

/// The spelling that matches a name.
enum Found<'a> {
    None,
    One(&'a String),
    Several,
}

fn only<'a>(names: impl Iterator<Item = &'a String>, wanted: &str) -> Found<'a> {
    let lower = wanted.to_lowercase();
    let mut found = Found::None;
    for name in names.filter(|name| name.to_lowercase() == lower) {
        found = match found {
            Found::None => Found::One(name),
            Found::One(known) if known == name => Found::One(known),
            Found::One(_) | Found::Several => Found::Several,
        };
    }
    found
}
