//! Datasets and columns of a template file.

use std::collections::BTreeSet;

use concordat_protocol::collection::{
    CountLevels, KeyLink, MAX_COLUMNS, MAX_DATASETS, OwnerLinks, Pattern, Range, RawRange, TemplateColumn,
    TemplateDataset, TemplateKind, TemplateRole,
};
use concordat_protocol::ids::{ColumnName, DatasetName};

use super::entries::{Fields, Node};
use super::error::MistakeProblem as Problem;
use super::levels::{SharedLevels, of_column};
use super::mistakes::Mistakes;

/// Most numbers of a list of counts or days, as in the rules of a collection.
pub(super) const MAX_STEPS: usize = 64;
/// Most links through which a dataset can lead to its subjects.
const MAX_LINKS: usize = 4;

/// A dataset of the file and its lines.
pub(super) struct DatasetEntry {
    pub(super) dataset: TemplateDataset,
    /// The line of the dataset.
    pub(super) line: usize,
    /// The line of each of its columns.
    pub(super) columns: Vec<usize>,
}

/// Reads `[datasets]`.
pub(super) fn datasets(fields: Fields<'_>, shared: &SharedLevels, mistakes: &mut Mistakes) -> Vec<DatasetEntry> {
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    for node in fields.into_nodes(MAX_DATASETS, mistakes) {
        let name = name(&node, &mut seen, mistakes);
        let fields = node.table(mistakes);
        entries.extend(fields.and_then(|fields| dataset(&node, name, fields, shared, mistakes)));
    }
    entries
}

/// The key as a name or pattern that no other entry has.
fn name(node: &Node<'_>, seen: &mut BTreeSet<Pattern>, mistakes: &mut Mistakes) -> Option<Pattern> {
    let name = node.valid(Pattern::new(node.key()), mistakes)?;
    if seen.insert(name.clone()) {
        Some(name)
    } else {
        node.mistake(Problem::Twice, mistakes)
    }
}

fn dataset(
    node: &Node<'_>,
    name: Option<Pattern>,
    mut fields: Fields<'_>,
    shared: &SharedLevels,
    mistakes: &mut Mistakes,
) -> Option<DatasetEntry> {
    let kind = kind(&mut fields, mistakes);
    let event_date = fields.take("date").and_then(|node| node.parsed(mistakes));
    let counts = fields.take("counts").and_then(|node| {
        let numbers = numbers(&node, mistakes)?;
        node.valid(CountLevels::new(numbers), mistakes)
    });
    let declared = fields.take("columns").and_then(|node| node.table(mistakes));
    let declared = declared
        .map(|fields| columns(fields, shared, mistakes))
        .unwrap_or_default();
    fields.finish("`kind`, `unique`, `through`, `date`, `counts` and `columns`", mistakes);
    let mut lines = Vec::new();
    let mut columns = Vec::new();
    for (line, name, column) in declared {
        lines.push(line);
        columns.push((name, column));
    }
    let dataset = TemplateDataset {
        name: name?,
        kind,
        event_date,
        counts,
        columns,
    };
    Some(DatasetEntry {
        dataset,
        line: node.line(mistakes),
        columns: lines,
    })
}

/// `kind`, and what belongs to one of them: `unique` to keyed datasets, `through` to owned ones.
fn kind(fields: &mut Fields<'_>, mistakes: &mut Mistakes) -> Option<TemplateKind> {
    let node = fields.take("kind");
    let text = node.as_ref().and_then(|node| node.text(mistakes));
    let unique = fields.take("unique");
    let through = fields.take("through");
    for (node, kind) in [(&unique, "keyed"), (&through, "owned")] {
        if let Some(node) = node
            && text != Some(kind)
        {
            node.mistake::<()>(Problem::OtherKind { kind }, mistakes);
        }
    }
    match text? {
        "keyed" => {
            let unique = unique.map_or(Some(false), |node| node.truth(mistakes));
            Some(TemplateKind::Keyed { unique: unique? })
        }
        "owned" => match through {
            Some(through) => links(&through, mistakes).map(|through| TemplateKind::Owned { through }),
            None => fields.required("through", mistakes).and(None),
        },
        "reference" => Some(TemplateKind::Reference),
        "each-row" => Some(TemplateKind::EachRow),
        "unowned" => Some(TemplateKind::Unowned),
        _ => {
            let expected = "`keyed`, `owned`, `reference`, `each-row` or `unowned`";
            node?.mistake(Problem::Type { expected }, mistakes)
        }
    }
}

fn links(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Vec<KeyLink>> {
    let elements = node.list(MAX_LINKS, mistakes)?;
    let links: Vec<Option<KeyLink>> = elements.iter().map(|element| owner_link(element, mistakes)).collect();
    let links: Vec<KeyLink> = links.into_iter().collect::<Option<_>>()?;
    node.valid(OwnerLinks::new(links.clone()), mistakes)?;
    Some(links)
}

fn owner_link(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<KeyLink> {
    let mut fields = node.table(mistakes)?;
    let column = fields
        .required("column", mistakes)
        .and_then(|node| node.parsed(mistakes));
    let to = fields
        .required("to", mistakes)
        .and_then(|node| column_of(&node, mistakes));
    fields.finish("`column` and `to`", mistakes);
    let target = to?;
    Some(KeyLink {
        column: column?,
        to: target.0,
        key: target.1,
    })
}

/// `DATASET.COLUMN`.
fn column_of(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<(DatasetName, ColumnName)> {
    let expected = "a dataset and its column, as in `visit.visit_id`";
    match node.text(mistakes)?.split_once('.') {
        Some((dataset, column)) => {
            let dataset = node.valid(DatasetName::new(dataset), mistakes);
            let column = node.valid(ColumnName::new(column), mistakes);
            dataset.zip(column)
        }
        None => node.mistake(Problem::Type { expected }, mistakes),
    }
}

/// The columns of a dataset, each with its line.
type Columns = Vec<(usize, Pattern, TemplateColumn)>;

fn columns(fields: Fields<'_>, shared: &SharedLevels, mistakes: &mut Mistakes) -> Columns {
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for node in fields.into_nodes(MAX_COLUMNS, mistakes) {
        let name = name(&node, &mut seen, mistakes);
        let fields = node.table(mistakes);
        let column = fields.map(|fields| column(fields, shared, mistakes));
        let line = node.line(mistakes);
        columns.extend(name.zip(column).map(|(name, column)| (line, name, column)));
    }
    columns
}

fn column(mut fields: Fields<'_>, shared: &SharedLevels, mistakes: &mut Mistakes) -> TemplateColumn {
    let column = TemplateColumn {
        class: fields.take("class").and_then(|node| node.parsed(mistakes)),
        role: role(&mut fields, mistakes),
        levels: of_column(&mut fields, shared, mistakes),
        measure: fields.take("range").and_then(|node| range(&node, mistakes)),
        unit: fields.take("unit").and_then(|node| node.parsed(mistakes)),
        complete: fields.take("complete").and_then(|node| node.truth(mistakes)),
    };
    let possible = "`class`, `role`, `link`, `levels`, `edges`, `values`, `codes`, `range`, `unit` and `complete`";
    fields.finish(possible, mistakes);
    column
}

fn role(fields: &mut Fields<'_>, mistakes: &mut Mistakes) -> Option<TemplateRole> {
    match (fields.take("role"), fields.take("link")) {
        (None, None) => None,
        (None, Some(node)) => column_of(&node, mistakes).map(|(to, key)| TemplateRole::Link { to, key }),
        (Some(node), None) => match node.text(mistakes)? {
            "subject" => Some(TemplateRole::Subject),
            "key" => Some(TemplateRole::Key),
            "value" => Some(TemplateRole::Value),
            _ => {
                let expected = "`subject`, `key` or `value`; a key of another dataset is a `link`";
                node.mistake(Problem::Type { expected }, mistakes)
            }
        },
        (Some(_), Some(_)) => {
            let of = "`role` and `link`";
            fields.mistake(Problem::OneOf { of }, mistakes)
        }
    }
}

fn range(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<RawRange> {
    let mut fields = node.table(mistakes)?;
    let low = fields.required("low", mistakes).and_then(|node| node.number(mistakes));
    let high = fields.required("high", mistakes).and_then(|node| node.number(mistakes));
    let step = fields.take("step").map(|node| node.number(mistakes));
    fields.finish("`low`, `high` and `step`", mistakes);
    let raw = RawRange {
        low: low?,
        high: high?,
        step: step.map_or(Some(None), |step| step.map(Some))?,
    };
    node.valid(Range::try_from(raw), mistakes)?;
    Some(raw)
}

/// Whole numbers that are not below zero.
pub(super) fn numbers(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<Vec<u32>> {
    let elements = node.list(MAX_STEPS, mistakes)?;
    let numbers: Vec<Option<u32>> = elements.iter().map(|element| element.whole(mistakes)).collect();
    numbers.into_iter().collect()
}
