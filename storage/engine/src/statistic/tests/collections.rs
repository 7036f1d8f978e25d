//! Collections with rules that are read from a short text.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use concordat_protocol::{
    collection::{
        ANCESTORS_LEVEL, CodeNames, CollectionRules, ColumnRole, Contents, DatasetKind, Hierarchy, KnownColumns,
        LISTED_LEVEL, Listed, ListedValues, NAMED_LEVEL, RawCollectionRules, RawColumnRules, RawDatasetRules,
        RawLevels, RawRange, ValueLabel, ValueNames,
    },
    ids::{ColumnName, DatasetName, LevelName},
    schema::ColumnKind,
    scope::{Finite, Transform, Value},
};
use datafusion::{
    common::TableReference, datasource::empty::EmptyTable, execution::context::SessionContext,
    logical_expr::LogicalPlan, sql::sqlparser::ast::Statement,
};

use crate::{
    home_state,
    meaning::plan_of,
    parse,
    statistic::{KnownCollection, Lowered, NotCountable, lower},
};

const RULES: &str = include_str!("rules.txt");
/// Most cells of a query in tests.
const CELLS: usize = 1_000;

/// A collection with rules, and a session with its tables.
#[derive(Clone)]
pub(crate) struct Collection {
    pub(crate) known: KnownCollection,
    context: SessionContext,
}

type Columns = BTreeMap<ColumnName, Contents>;

impl Collection {
    /// The collection of this name, all of it shown.
    pub(crate) fn named(name: &str) -> Self {
        Self::shown(name, &|_, _| Some(Transform::Clear))
    }

    /// The same, with the columns that a grant shows.
    pub(super) fn shown(name: &str, shown: &dyn Fn(&DatasetName, &ColumnName) -> Option<Transform>) -> Self {
        let (rules, columns) = read(name);
        let known: BTreeMap<DatasetName, Columns> = columns.clone();
        let rules =
            CollectionRules::check(rules, &KnownColumns::new(known)).unwrap_or_else(|errors| panic!("{errors:?}"));
        let context = SessionContext::new_with_state(home_state(1 << 20, name).unwrap());
        for (dataset, columns) in columns {
            let fields = columns
                .into_iter()
                .map(|(name, contents)| Field::new(name.as_str(), arrow_type(contents), true));
            let table = EmptyTable::new(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
            let name = TableReference::bare(dataset.as_str());
            context.register_table(name, Arc::new(table)).unwrap();
        }
        Self {
            known: KnownCollection::new(rules, shown, None),
            context,
        }
    }

    /// The same, under a permission with exact figures.
    pub(super) fn with_exact_figures(mut self) -> Self {
        self.known = self.known.with_exact_figures(true);
        self
    }

    /// The plan of a query, before types are converted.
    pub(crate) fn planned(&self, sql: &str) -> Result<LogicalPlan, String> {
        let mut statements = parse(sql, 64).map_err(|error| error.to_string())?;
        let Some(statement @ Statement::Query(_)) = statements.pop() else {
            panic!("{sql}")
        };
        let state = self.context.state();
        let plan = futures::executor::block_on(plan_of(&state, &statement));
        plan.map_err(|error| error.to_string())
    }

    pub(crate) fn lower(&self, sql: &str) -> Result<Lowered, NotCountable> {
        let plan = self.planned(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        lower(&plan, &self.known, CELLS)
    }

    pub(super) fn lower_plan(&self, plan: &LogicalPlan) -> Result<Lowered, NotCountable> {
        lower(plan, &self.known, CELLS)
    }
}

fn arrow_type(contents: Contents) -> DataType {
    match contents {
        Contents::Of(ColumnKind::Int) => DataType::Int64,
        Contents::Of(ColumnKind::Float) => DataType::Float64,
        Contents::Of(ColumnKind::Boolean) => DataType::Boolean,
        Contents::Of(ColumnKind::Date) => DataType::Date32,
        Contents::Of(ColumnKind::Timestamp | ColumnKind::TimestampUtc) => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        Contents::Of(ColumnKind::Text) | Contents::Empty => DataType::Utf8,
    }
}

fn read(name: &str) -> (RawCollectionRules, BTreeMap<DatasetName, Columns>) {
    let mut rules = RawCollectionRules::default();
    let mut columns: BTreeMap<DatasetName, Columns> = BTreeMap::new();
    let mut dataset: Option<DatasetName> = None;
    let lines = RULES
        .lines()
        .skip_while(|line| *line != format!("collection {name}"))
        .skip(1);
    for line in lines.take_while(|line| !line.starts_with("collection ")) {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "dataset" {
            let name = DatasetName::new(words[1]).unwrap();
            let raw = RawDatasetRules {
                kind: kind(&words),
                ..RawDatasetRules::default()
            };
            rules.datasets.insert(name.clone(), raw);
            columns.insert(name.clone(), Columns::new());
            dataset = Some(name);
            continue;
        }
        // Names with a period exist in files only.
        let Ok(column) = ColumnName::new(&words[0].replace('.', "_")) else {
            panic!("{line}")
        };
        let contents = contents(words[1]);
        let name = dataset.as_ref().unwrap();
        let declared = declared(&words[2..], contents, (name, &column));
        rules
            .datasets
            .get_mut(name)
            .unwrap()
            .columns
            .insert(column.clone(), declared);
        columns.get_mut(name).unwrap().insert(column, Contents::Of(contents));
    }
    (rules, columns)
}

fn kind(words: &[&str]) -> DatasetKind {
    match words[2] {
        "keyed" => DatasetKind::Keyed {
            subject: ColumnName::new(words[3]).unwrap(),
            unique: words.get(4).is_some(),
        },
        "reference" => DatasetKind::Reference,
        "each-row" => DatasetKind::EachRow,
        "unowned" => DatasetKind::Unowned,
        other => panic!("{other}"),
    }
}

fn contents(word: &str) -> ColumnKind {
    match word {
        "int" => ColumnKind::Int,
        "float" => ColumnKind::Float,
        "bool" => ColumnKind::Boolean,
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Timestamp,
        "text" => ColumnKind::Text,
        other => panic!("{other}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other kinds have no constants here")]
fn value(word: &str, kind: ColumnKind) -> Value {
    match kind {
        ColumnKind::Int => Value::Int(word.parse().unwrap()),
        ColumnKind::Float => Value::Float(Finite::new(word.parse().unwrap()).unwrap()),
        _ => Value::Text(word.to_owned()),
    }
}

/// The level of listed codes, the one of those that have a name, and the one of the codes above them that are groups.
fn code_levels(listed: Option<&str>, ancestors: Option<&str>, kind: ColumnKind) -> BTreeMap<LevelName, Vec<Listed>> {
    let mut levels: BTreeMap<LevelName, Vec<Listed>> = BTreeMap::new();
    let mut add = |level: &str, code: &str, label: &str| {
        let listed = Listed {
            value: value(code, kind),
            label: ValueLabel::new(label).unwrap(),
        };
        levels.entry(LevelName::new(level).unwrap()).or_default().push(listed);
    };
    for entry in listed.into_iter().flat_map(|words| words.split(',')) {
        let (code, name) = entry.split_once('=').unwrap_or((entry, ""));
        add(LISTED_LEVEL, code, code);
        if !name.is_empty() {
            add(NAMED_LEVEL, code, name);
        }
    }
    for entry in ancestors.into_iter().flat_map(|words| words.split(',')) {
        let (code, name) = entry.split_once('=').unwrap();
        add(ANCESTORS_LEVEL, code, name);
    }
    levels
}

/// Values with a label each.
fn labeled(values: &str, labels: &str, kind: ColumnKind) -> Vec<Listed> {
    let entries = values.split(',').zip(labels.split(','));
    let listed = entries.map(|(entry, label)| Listed {
        value: value(entry, kind),
        label: ValueLabel::new(label).unwrap(),
    });
    listed.collect()
}

fn declared(words: &[&str], kind: ColumnKind, (dataset, column): (&DatasetName, &ColumnName)) -> RawColumnRules {
    let mut rules = RawColumnRules::default();
    let mut words = words.iter().copied().peekable();
    // Edges of a column of text are numbers.
    let kind = if words.next_if_eq(&"numbers").is_some() {
        ColumnKind::Float
    } else {
        kind
    };
    let edges = |edges: Vec<Value>| RawLevels::Edges {
        edges,
        levels: BTreeMap::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "subject" => rules.role = ColumnRole::Subject,
            "key" => rules.role = ColumnRole::Key,
            "link" => {
                let (to, key) = words.next().unwrap().split_once('.').unwrap();
                rules.role = ColumnRole::Link {
                    to: DatasetName::new(to).unwrap(),
                    key: ColumnName::new(key).unwrap(),
                };
            }
            "edges" => {
                let listed = words.next().unwrap().split(',');
                rules.levels = edges(listed.map(|edge| value(edge, kind)).collect());
            }
            "every" => {
                let [from, to, step] = [(); 3].map(|()| words.next().unwrap().parse::<i64>().unwrap());
                let steps = (from..=to).step_by(usize::try_from(step).unwrap());
                rules.levels = edges(steps.map(|edge| value(&edge.to_string(), kind)).collect());
            }
            "months" => {
                let [from, to] = [(); 2].map(|()| words.next().unwrap().parse::<i32>().unwrap());
                let days = (from..to)
                    .flat_map(|year| (1..=12).map(move |month| (year, month)))
                    .chain([(to, 1)]);
                let days = days.map(|(year, month)| chrono::NaiveDate::from_ymd_opt(year, month, 1).unwrap());
                rules.levels = edges(days.map(|day| Value::Date(day.to_epoch_days())).collect());
            }
            "values" => {
                let entries = words.next().unwrap();
                rules.levels = RawLevels::Values(labeled(entries, entries, kind));
                rules.names = words.next_if_eq(&"names").map(|_| ValueNames {
                    column: ColumnName::new("concept_name").unwrap(),
                    values: ListedValues::check(labeled(entries, words.next().unwrap(), kind)).unwrap(),
                });
            }
            "complete" => rules.complete = true,
            "truth" => rules.levels = RawLevels::Truth,
            "codes" => {
                let hierarchy = words.next_if_eq(&"concept_ancestor").map(|dataset| Hierarchy {
                    dataset: DatasetName::new(dataset).unwrap(),
                    ancestor: ColumnName::new("ancestor_concept_id").unwrap(),
                    descendant: ColumnName::new("descendant_concept_id").unwrap(),
                    groups: None,
                });
                let beside = words.next_if_eq(&"beside").map(|_| CodeNames {
                    dataset: dataset.clone(),
                    code: column.clone(),
                    name: ColumnName::new(words.next().unwrap()).unwrap(),
                });
                let of_reference = hierarchy.as_ref().map(|_| CodeNames {
                    dataset: DatasetName::new("concept").unwrap(),
                    code: ColumnName::new("concept_id").unwrap(),
                    name: ColumnName::new("concept_name").unwrap(),
                });
                let listed = words.next_if_eq(&"listed").map(|_| words.next().unwrap());
                let ancestors = words.next_if_eq(&"ancestors").map(|_| words.next().unwrap());
                rules.levels = RawLevels::Codes {
                    names: of_reference.or(beside),
                    hierarchy,
                    levels: code_levels(listed, ancestors, kind),
                };
            }
            "range" => {
                let [low, high] = [(); 2].map(|()| words.next().unwrap().parse::<f64>().unwrap());
                rules.measure = Some(RawRange { low, high, step: None });
            }
            other => panic!("{other}"),
        }
    }
    rules
}
