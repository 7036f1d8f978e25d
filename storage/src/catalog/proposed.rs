//! What is proposed for the columns of a collection, from its rows. It has no effect before it is declared; of a dataset alone, of which
//! nothing but classes is declared, it is what its columns distinguish.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{
        ANCESTORS_LEVEL, CollectionRules, Contents, KnownColumns, LISTED_LEVEL, Levels, Listed, ListedValues,
        NAMED_LEVEL, Range, RawCollectionRules, RawColumnRules, RawDatasetRules, RawLevels, RawRange, RulesError,
        ValueLabel,
    },
    ids::{ColumnName, DatasetName, LevelName},
    schema::ColumnClass,
    scope::{Finite, Value},
};
use serde::{Deserialize, Serialize};

use super::CollectionRecord;
use crate::subjects::{ColumnProposal, ProposedLevels, ProposedRange};

/// The level that groups use where a column has one.
const BAND: &str = "band";
/// The level of all edges. A template has edges by their levels, so that each edge is one of a level.
const BY_VALUE: &str = "by_value";

/// What is proposed for one column: levels, a range or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposedColumn {
    /// What conditions and groups may distinguish.
    pub levels: Levels,
    /// To which contributions are clipped.
    pub measure: Option<Range>,
}

/// What is proposed for the columns of a collection.
pub type ProposedColumns = BTreeMap<DatasetName, BTreeMap<ColumnName, ProposedColumn>>;

/// Columns for which neither levels nor a range are declared, nor that there are none.
pub type OpenColumns = BTreeSet<(DatasetName, ColumnName)>;

/// Those whose label no other one has: a group by names would be about both.
pub(super) fn of_one_label(mut entries: Vec<Listed>) -> Vec<Listed> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &entries {
        let of_label = times.entry(entry.label.as_str().to_owned()).or_default();
        *of_label = of_label.saturating_add(1);
    }
    entries.retain(|entry| times.get(entry.label.as_str()) == Some(&1));
    entries
}

impl ProposedColumn {
    /// `None` if nothing is proposed that fits the column.
    pub(super) fn of(proposal: ColumnProposal, contents: Contents) -> Option<Self> {
        let levels = raw_levels(proposal.levels).and_then(|raw| Levels::check(raw, contents).ok());
        let measure = proposal
            .range
            .and_then(|ProposedRange { low, high }| Range::new(low, high, None).ok());
        let proposed = Self {
            levels: levels.unwrap_or_default(),
            measure,
        };
        (proposed.levels != Levels::None || proposed.measure.is_some()).then_some(proposed)
    }

    /// The codes that are proposed as a list; `None` if none are.
    pub(super) fn listed(&self) -> Option<&ListedValues> {
        match &self.levels {
            Levels::Codes(codes) => codes.listed(),
            Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) => None,
        }
    }

    /// Gives the codes that are listed these names and no others, for a column with these contents. Codes of one name are one group.
    pub(super) fn add_names(&mut self, known: &BTreeMap<Value, String>, contents: Contents) {
        let codes = self.listed().into_iter().flat_map(ListedValues::iter);
        let named = codes.filter_map(|code| listed(code.value.clone(), known.get(&code.value)?));
        let named: Vec<Listed> = named.collect();
        self.add_level(NAMED_LEVEL, named, contents);
    }

    /// Adds the codes above listed ones that are groups, each with its name, for a column with these contents.
    pub(super) fn add_ancestors(&mut self, found: &[(&Value, &str)], contents: Contents) {
        let named = found.iter().filter_map(|(code, name)| listed((*code).clone(), name));
        self.add_level(ANCESTORS_LEVEL, named.collect(), contents);
    }

    /// The codes above listed ones that are proposed as groups.
    pub(super) fn ancestors(&self) -> Option<&ListedValues> {
        match &self.levels {
            Levels::Codes(codes) => codes.ancestors(),
            Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_) => None,
        }
    }

    /// Gives the codes above listed ones that are groups these names: those that have none, or one of another group, are no groups any more.
    pub(super) fn rename_ancestors(&mut self, known: &BTreeMap<Value, String>, contents: Contents) {
        let above = self.ancestors().into_iter().flat_map(ListedValues::iter);
        let named = above.filter_map(|code| listed(code.value.clone(), known.get(&code.value)?));
        let named = of_one_label(named.collect());
        self.add_level(ANCESTORS_LEVEL, named, contents);
    }

    /// Adds a level to codes; none without entries, and none that does not fit the column.
    fn add_level(&mut self, name: &str, entries: Vec<Listed>, contents: Contents) {
        let RawLevels::Codes {
            hierarchy,
            names,
            mut levels,
        } = self.levels.raw()
        else {
            return;
        };
        levels.retain(|level, _| level.as_str() != name);
        if let Some(level) = LevelName::new(name).ok().filter(|_| !entries.is_empty()) {
            levels.insert(level, entries);
        }
        let raw = RawLevels::Codes {
            hierarchy,
            names,
            levels,
        };
        self.levels = Levels::check(raw, contents).unwrap_or_else(|_| self.levels.clone());
    }

    /// Adds what is proposed to what is declared. To declared codes lists are added, unless there are some of the same names.
    pub fn add_to(&self, rules: &mut RawColumnRules) {
        match (&mut rules.levels, self.levels.raw()) {
            (RawLevels::Codes { levels: declared, .. }, RawLevels::Codes { levels, .. }) => {
                for (name, listed) in levels {
                    declared.entry(name).or_insert(listed);
                }
            }
            (RawLevels::Codes { .. }, _) => {}
            (declared, proposed) => {
                *declared = proposed;
                rules.measure = self.measure.map(RawRange::from);
            }
        }
    }
}

/// Removes what is proposed for columns that are not open any more.
pub(super) fn retain_open(proposed: &mut ProposedColumns, open: &OpenColumns) {
    for (dataset, columns) in &mut *proposed {
        columns.retain(|column, _| open.contains(&(dataset.clone(), column.clone())));
    }
    proposed.retain(|_, columns| !columns.is_empty());
}

/// The kinds and classes of a record, with everything that is proposed for its columns and fits them; `None` if kinds or classes do not fit.
pub(super) fn rules_of_rows(
    record: &CollectionRecord,
    proposed: &ProposedColumns,
    known: &KnownColumns,
) -> Option<CollectionRules> {
    let mut raw = declared(record, known);
    for (dataset, columns) in proposed {
        for (column, proposed) in columns {
            propose(&mut raw, (dataset, column), proposed, known);
        }
    }
    let errors = match CollectionRules::check(raw.clone(), known) {
        Ok(rules) => return Some(rules),
        Err(errors) => errors,
    };
    for RulesError { dataset, column, .. } in errors {
        let columns = raw.datasets.get_mut(&dataset?).map(|declared| &mut declared.columns);
        let rules = columns?.get_mut(&column?)?;
        rules.levels = RawLevels::None;
        rules.measure = None;
        rules.complete = false;
    }
    CollectionRules::check(raw, known).ok()
}

/// The kinds and classes of a record, of the columns that there are.
fn declared(record: &CollectionRecord, known: &KnownColumns) -> RawCollectionRules {
    let datasets = record.datasets().iter().map(|(name, dataset)| {
        let classes = dataset.classification.iter();
        let classes = classes.filter(|(column, _)| known.contents(name, column).is_some());
        let columns = classes.map(|(column, class)| {
            let rules = RawColumnRules {
                class: Some(class),
                ..RawColumnRules::default()
            };
            (column.clone(), rules)
        });
        let rules = RawDatasetRules {
            kind: dataset.kind.clone(),
            columns: columns.collect(),
            ..RawDatasetRules::default()
        };
        (name.clone(), rules)
    });
    RawCollectionRules {
        datasets: datasets.collect(),
        ..RawCollectionRules::default()
    }
}

/// Adds what is proposed for a column, unless it is not there any more or identifies people.
fn propose(
    raw: &mut RawCollectionRules,
    (dataset, column): (&DatasetName, &ColumnName),
    proposed: &ProposedColumn,
    known: &KnownColumns,
) {
    let Some(declared) = raw.datasets.get_mut(dataset) else {
        return;
    };
    if known.contents(dataset, column).is_none() {
        return;
    }
    let rules = declared.columns.entry(column.clone()).or_default();
    if rules.class != Some(ColumnClass::DirectIdentifier) {
        proposed.add_to(rules);
    }
}

/// The levels as a template would declare them; `None` if a value cannot be a label.
fn raw_levels(levels: ProposedLevels) -> Option<RawLevels> {
    Some(match levels {
        ProposedLevels::None => RawLevels::None,
        ProposedLevels::Truth => RawLevels::Truth,
        ProposedLevels::WholeEdges(edges) => at(edges.into_iter().map(Value::Int).collect()),
        ProposedLevels::WholeBands { edges, bands } => {
            let wholes = |edges: Vec<i64>| edges.into_iter().map(Value::Int).collect::<Vec<Value>>();
            let edges = wholes(edges);
            RawLevels::Edges {
                levels: BTreeMap::from([
                    (LevelName::new(BAND).ok()?, wholes(bands)),
                    (LevelName::new(BY_VALUE).ok()?, edges.clone()),
                ]),
                edges,
            }
        }
        ProposedLevels::NumberEdges(edges) => {
            let edges = edges.into_iter().map(|edge| Finite::new(edge).ok().map(Value::Float));
            at(edges.collect::<Option<_>>()?)
        }
        ProposedLevels::DayEdges(edges) => at(edges.into_iter().map(Value::Date).collect()),
        ProposedLevels::Wholes(values) => {
            let listed = values
                .into_iter()
                .map(|value| listed(Value::Int(value), &value.to_string()));
            RawLevels::Values(listed.collect::<Option<_>>()?)
        }
        ProposedLevels::Texts(values) => {
            let listed = values
                .into_iter()
                .map(|value| listed(Value::Text(value.clone()), &value));
            RawLevels::Values(listed.collect::<Option<_>>()?)
        }
        ProposedLevels::Codes { wholes, texts } => RawLevels::Codes {
            hierarchy: None,
            names: None,
            levels: code_levels(wholes, texts),
        },
    })
}

/// The level of a list of codes; none for an empty list. A text that cannot be a label is one of the others.
fn code_levels(wholes: Vec<i64>, texts: Vec<String>) -> BTreeMap<LevelName, Vec<Listed>> {
    let wholes = wholes
        .into_iter()
        .filter_map(|value| listed(Value::Int(value), &value.to_string()));
    let texts = texts
        .into_iter()
        .filter_map(|value| listed(Value::Text(value.clone()), &value));
    let codes: Vec<Listed> = wholes.chain(texts).collect();
    let name = LevelName::new(LISTED_LEVEL).ok().filter(|_| !codes.is_empty());
    name.map(|name| (name, codes)).into_iter().collect()
}

fn at(edges: Vec<Value>) -> RawLevels {
    RawLevels::Edges {
        edges,
        levels: BTreeMap::new(),
    }
}

fn listed(value: Value, label: &str) -> Option<Listed> {
    let label = ValueLabel::new(label).ok()?;
    Some(Listed { value, label })
}

#[cfg(test)]
mod tests {
    use concordat_protocol::schema::ColumnKind;

    use super::*;

    fn of(levels: ProposedLevels, range: Option<(f64, f64)>, kind: ColumnKind) -> Option<ProposedColumn> {
        let proposal = ColumnProposal {
            column: "x".to_owned(),
            levels,
            range: range.map(|(low, high)| ProposedRange { low, high }),
        };
        ProposedColumn::of(proposal, Contents::Of(kind))
    }

    #[test]
    fn proposals_become_levels_that_fit_their_column() {
        let atoms = |levels, kind| of(levels, None, kind).unwrap().levels.atoms();
        assert_eq!(
            atoms(ProposedLevels::WholeEdges(vec![10, 20]), ColumnKind::Int),
            Some(3)
        );
        assert_eq!(
            atoms(ProposedLevels::NumberEdges(vec![0.5]), ColumnKind::Float),
            Some(2)
        );
        let bands = ProposedLevels::WholeBands {
            edges: vec![1, 7, 8, 30],
            bands: vec![7, 30],
        };
        let bands = of(bands, None, ColumnKind::Int).unwrap().levels;
        let band = bands.level(&LevelName::new("band").unwrap()).unwrap();
        assert_eq!((bands.atoms(), band.atoms()), (Some(5), Some(3)));
        assert_eq!(
            bands.level(&LevelName::new("by_value").unwrap()).unwrap().atoms(),
            Some(5)
        );
        assert_eq!(atoms(ProposedLevels::DayEdges(vec![0, 365]), ColumnKind::Date), Some(3));
        assert_eq!(atoms(ProposedLevels::Wholes(vec![1, 2]), ColumnKind::Int), Some(3));
        let texts = ProposedLevels::Texts(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(atoms(texts, ColumnKind::Text), Some(3));
        let codes = ProposedLevels::Codes {
            wholes: vec![5, 7],
            texts: Vec::new(),
        };
        assert_eq!(
            of(codes, None, ColumnKind::Int)
                .unwrap()
                .listed()
                .map(ListedValues::atoms),
            Some(3)
        );
        let measured = of(ProposedLevels::None, Some((0.0, 10.0)), ColumnKind::Float).unwrap();
        assert_eq!(measured.measure.map(|range| range.high()), Some(10.0));
        // Nothing, and what fits no column.
        assert_eq!(of(ProposedLevels::None, None, ColumnKind::Int), None);
        assert_eq!(of(ProposedLevels::None, Some((1.0, 1.0)), ColumnKind::Float), None);
        assert_eq!(of(ProposedLevels::WholeEdges(vec![1]), None, ColumnKind::Boolean), None);
        assert_eq!(
            of(ProposedLevels::Texts(vec![String::new()]), None, ColumnKind::Text),
            None
        );
    }

    /// The labels of each level of codes.
    fn labels(levels: &RawLevels) -> Vec<(String, Vec<String>)> {
        let RawLevels::Codes { levels, .. } = levels else {
            panic!("{levels:?}")
        };
        let labels = |listed: &[Listed]| listed.iter().map(|entry| entry.label.to_string()).collect();
        levels
            .iter()
            .map(|(name, listed)| (name.to_string(), labels(listed)))
            .collect()
    }

    #[test]
    fn lists_of_codes_are_added_to_declared_codes_alone() {
        let codes = ProposedLevels::Codes {
            wholes: vec![5, 7, 9],
            texts: Vec::new(),
        };
        let mut proposed = of(codes, None, ColumnKind::Int).unwrap();
        let names = [(5, "gout"), (7, "gout"), (8, "asthma")].map(|(code, name)| (Value::Int(code), name.to_owned()));
        proposed.add_names(&BTreeMap::from(names), Contents::Of(ColumnKind::Int));
        let listed = ("listed".to_owned(), ["5", "7", "9"].map(str::to_owned).to_vec());
        let named = ("named".to_owned(), ["gout", "gout"].map(str::to_owned).to_vec());
        let declared = |levels: RawLevels| {
            let mut rules = RawColumnRules {
                levels,
                ..RawColumnRules::default()
            };
            proposed.add_to(&mut rules);
            rules.levels
        };
        let open = |levels| RawLevels::Codes {
            hierarchy: None,
            names: None,
            levels,
        };
        assert_eq!(
            labels(&declared(open(BTreeMap::new()))),
            [listed.clone(), named.clone()]
        );
        assert_eq!(labels(&declared(RawLevels::None)), [listed, named.clone()]);
        // What a steward declared stays.
        let own = Listed {
            value: Value::Int(1),
            label: ValueLabel::new("one").unwrap(),
        };
        let own = BTreeMap::from([(LevelName::new("listed").unwrap(), vec![own])]);
        let expected = ("listed".to_owned(), vec!["one".to_owned()]);
        assert_eq!(labels(&declared(open(own))), [expected, named]);
    }

    #[test]
    fn proposals_stay_for_open_columns_alone() {
        let dataset = |name: &str| DatasetName::new(name).unwrap();
        let column = |name: &str| ColumnName::new(name).unwrap();
        let proposed = of(ProposedLevels::Truth, None, ColumnKind::Boolean).unwrap();
        let columns = || BTreeMap::from([(column("x"), proposed.clone()), (column("y"), proposed.clone())]);
        let mut all = ProposedColumns::from([(dataset("a"), columns()), (dataset("b"), columns())]);
        retain_open(&mut all, &OpenColumns::from([(dataset("a"), column("y"))]));
        let left = ProposedColumns::from([(dataset("a"), BTreeMap::from([(column("y"), proposed)]))]);
        assert_eq!(all, left);
    }

    #[test]
    fn proposed_ancestors_get_the_names_that_there_are() {
        let listed = |code: i64, label: &str| listed(Value::Int(code), label).unwrap();
        let codes = |name: &str, entries: Vec<Listed>| (LevelName::new(name).unwrap(), entries);
        let ancestors = [(50, "aspirin"), (51, "earlier"), (52, "x"), (53, "y"), (54, "z")];
        let raw = RawLevels::Codes {
            hierarchy: None,
            names: None,
            levels: BTreeMap::from([
                codes(LISTED_LEVEL, vec![listed(5, "5")]),
                codes(
                    ANCESTORS_LEVEL,
                    ancestors.map(|(code, name)| listed(code, name)).to_vec(),
                ),
            ]),
        };
        let contents = Contents::Of(ColumnKind::Int);
        let mut proposed = ProposedColumn {
            levels: Levels::check(raw, contents).unwrap(),
            measure: None,
        };
        let names = [(50, "aspirin"), (51, "ibuprofen"), (53, "same"), (54, "same")];
        let names = names.map(|(code, name)| (Value::Int(code), name.to_owned()));
        proposed.rename_ancestors(&BTreeMap::from(names), contents);
        let found = proposed.ancestors().unwrap().iter();
        let found: Vec<_> = found.map(|code| format!("{} {}", code.value, code.label)).collect();
        assert_eq!(found, ["50 aspirin", "51 ibuprofen"]);
    }
}
