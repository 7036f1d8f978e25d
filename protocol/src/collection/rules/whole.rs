//! The checks of a collection as a whole: subjects, links and what columns refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::super::kind::{ColumnRole, DatasetKind, KeyLink};
use super::super::levels::{AncestorGroups, CodeKind, CodeNames, Contents, Levels};
use super::column::ColumnRules;
use super::dataset::DatasetRules;
use super::error::{Errors, MAX_COLUMNS, MAX_DATASETS, RuleProblem};
use crate::ids::{ColumnName, DatasetName};
use crate::schema::ColumnKind;
use crate::scope::Kind;

/// The datasets of a collection.
pub(super) type Datasets = BTreeMap<DatasetName, DatasetRules>;

/// Declares the columns that lead to the subject as such, and finds every mistake.
pub(super) fn complete(datasets: &mut Datasets, errors: &mut Errors) {
    for (name, rules) in &mut *datasets {
        declare_roles(name, rules, errors);
    }
    check_size(datasets, errors);
    adopt_kinds(datasets);
    leave_out_names(datasets);
    for (name, rules) in &*datasets {
        check_columns(name, rules, errors);
        check_subject(name, rules, errors);
        check_links(name, rules, datasets, errors);
        check_references(name, rules, datasets, errors);
    }
    check_cycles(datasets, errors);
    check_subjects(datasets, errors);
}

/// Codes of a column that has no values yet are of the kind of the column that they refer to.
fn adopt_kinds(datasets: &mut Datasets) {
    let mut adopted = Vec::new();
    for (name, rules) in &*datasets {
        for (column, declared) in &rules.columns {
            let Levels::Codes(codes) = &declared.levels else {
                continue;
            };
            let hierarchy = codes.hierarchy().map(|found| (&found.dataset, &found.ancestor));
            let names = codes.names().map(|found| (&found.dataset, &found.code));
            let mut referred = hierarchy.into_iter().chain(names);
            let kind = referred.find_map(|(dataset, key)| code_kind(datasets.get(dataset)?.column(key)?.contents));
            if let Some(kind) = kind.filter(|_| declared.contents == Contents::Empty) {
                adopted.push((name.clone(), column.clone(), kind));
            }
        }
    }
    for (name, column, kind) in adopted {
        let found = datasets.get_mut(&name).and_then(|rules| rules.columns.get_mut(&column));
        if let Some(Levels::Codes(codes)) = found.map(|found| &mut found.levels) {
            codes.adopt(kind);
        }
    }
}

/// Leaves out the names of listed values where the column lists others now, or leads elsewhere: names are found, and not declared, so that
/// this is no mistake of who declares the rest.
fn leave_out_names(datasets: &mut Datasets) {
    let all = &*datasets;
    let mut stale = Vec::new();
    for (name, rules) in all {
        for (column, declared) in &rules.columns {
            let fits = declared.names.as_ref().is_none_or(|names| {
                let found = named_by(declared, all).and_then(|reference| reference.column(&names.column));
                let is_text = found.is_some_and(|found| found.contents.fits(Kind::Text));
                is_text && declared.lists_names(names)
            });
            if !fits {
                stale.push((name.clone(), column.clone()));
            }
        }
    }
    for (name, column) in stale {
        let found = datasets.get_mut(&name).and_then(|rules| rules.columns.get_mut(&column));
        if let Some(found) = found {
            found.names = None;
        }
    }
}

/// The reference dataset that a column leads to.
fn named_by<'d>(declared: &ColumnRules, datasets: &'d Datasets) -> Option<&'d DatasetRules> {
    let ColumnRole::Link { to, key } = &declared.role else {
        return None;
    };
    let reference = datasets.get(to).filter(|found| found.kind == DatasetKind::Reference)?;
    reference.is_key(key).then_some(reference)
}

/// What a column contains as codes; `None` if it has no values, or others.
const fn code_kind(contents: Contents) -> Option<CodeKind> {
    match contents {
        Contents::Of(ColumnKind::Int) => Some(CodeKind::Int),
        Contents::Of(ColumnKind::Text) => Some(CodeKind::Text),
        Contents::Empty
        | Contents::Of(
            ColumnKind::Float
            | ColumnKind::Boolean
            | ColumnKind::Date
            | ColumnKind::Timestamp
            | ColumnKind::TimestampUtc,
        ) => None,
    }
}

/// Gives the column of the subject and those that lead to the owner their roles, if no other is declared.
fn declare_roles(name: &DatasetName, rules: &mut DatasetRules, errors: &mut Errors) {
    let declared: Vec<(ColumnName, ColumnRole)> = match &rules.kind {
        DatasetKind::Keyed { subject, .. } => vec![(subject.clone(), ColumnRole::Subject)],
        DatasetKind::Owned { through } => through.iter().map(role_of).collect(),
        DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => Vec::new(),
    };
    for (column, role) in declared {
        match rules.columns.get_mut(&column) {
            Some(found) if found.role == ColumnRole::Value || found.role == role => found.role = role,
            Some(_) => errors.add(name, Some(&column), RuleProblem::TwoRoles),
            // Reported with the links or the subject.
            None => {}
        }
    }
}

fn role_of(link: &KeyLink) -> (ColumnName, ColumnRole) {
    let role = ColumnRole::Link {
        to: link.to.clone(),
        key: link.key.clone(),
    };
    (link.column.clone(), role)
}

fn check_size(datasets: &Datasets, errors: &mut Errors) {
    if datasets.len() > MAX_DATASETS {
        errors.add_whole(RuleProblem::TooManyDatasets);
    }
    if datasets.values().map(|rules| rules.columns.len()).sum::<usize>() > MAX_COLUMNS {
        errors.add_whole(RuleProblem::TooManyColumns);
    }
}

/// Each column by itself, and its name among the others.
fn check_columns(name: &DatasetName, rules: &DatasetRules, errors: &mut Errors) {
    let mut seen = BTreeMap::new();
    for (column, declared) in &rules.columns {
        for problem in declared.problems() {
            errors.add(name, Some(column), problem);
        }
        if column.is_reserved() {
            errors.add(name, Some(column), RuleProblem::Reserved);
        }
        if let Some(other) = seen.insert(column.as_str().to_lowercase(), column) {
            let other = other.clone();
            errors.add(name, Some(column), RuleProblem::CaseOnly { other });
        }
    }
    if let Some(date) = &rules.event_date
        && !rules.column(date).is_some_and(|found| found.contents.has_dates())
    {
        errors.add(name, Some(date), RuleProblem::EventDate);
    }
}

/// The column with the key of the subject is the only one, and only a keyed dataset has it.
fn check_subject(name: &DatasetName, rules: &DatasetRules, errors: &mut Errors) {
    let own = match &rules.kind {
        DatasetKind::Keyed { subject, .. } => Some(subject),
        DatasetKind::Owned { .. } | DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => None,
    };
    if let Some(subject) = own.filter(|subject| !rules.columns.contains_key(*subject)) {
        let subject = subject.clone();
        errors.add(name, None, RuleProblem::NoSubjectColumn { subject });
    }
    for (column, declared) in &rules.columns {
        let problem = match own {
            _ if declared.role != ColumnRole::Subject => continue,
            Some(subject) if subject == column => continue,
            Some(subject) => RuleProblem::SecondSubject {
                subject: subject.clone(),
            },
            None => RuleProblem::SubjectNotKeyed,
        };
        errors.add(name, Some(column), problem);
    }
}

/// Each link leads from a column that exists to a key, which has another value in each row of its dataset.
fn check_links(name: &DatasetName, rules: &DatasetRules, datasets: &Datasets, errors: &mut Errors) {
    for link in rules.links() {
        if let Some(problem) = broken(name, rules, &link, datasets) {
            errors.add(name, Some(&link.column), problem);
        }
    }
    if let DatasetKind::Owned { through } = &rules.kind {
        for link in through.iter() {
            let leads_on = datasets.get(&link.to).is_none_or(|to| match to.kind {
                DatasetKind::Keyed { .. } | DatasetKind::Owned { .. } => true,
                DatasetKind::Reference | DatasetKind::EachRow | DatasetKind::Unowned => false,
            });
            if !leads_on {
                let to = link.to.clone();
                errors.add(name, Some(&link.column), RuleProblem::NoOwner { to });
            }
        }
    }
}

fn broken(name: &DatasetName, rules: &DatasetRules, link: &KeyLink, datasets: &Datasets) -> Option<RuleProblem> {
    let Some(from) = rules.column(&link.column) else {
        return Some(RuleProblem::LinkColumn {
            dataset: name.clone(),
            column: link.column.clone(),
        });
    };
    let to = link.to.clone();
    let Some(target) = datasets.get(&to) else {
        return Some(RuleProblem::LinkDataset { to });
    };
    let key = link.key.clone();
    let Some(found) = target.column(&key) else {
        return Some(RuleProblem::LinkColumn {
            dataset: to,
            column: key,
        });
    };
    if !target.is_key(&key) {
        Some(RuleProblem::LinkNotUnique { to, key })
    } else if let (Contents::Of(kind), Contents::Of(key_kind)) = (from.contents, found.contents)
        && kind != key_kind
    {
        Some(RuleProblem::LinkKind {
            to,
            key,
            kind,
            key_kind,
        })
    } else {
        None
    }
}

/// What codes refer to are reference datasets with such columns.
fn check_references(name: &DatasetName, rules: &DatasetRules, datasets: &Datasets, errors: &mut Errors) {
    for (column, declared) in &rules.columns {
        let Levels::Codes(codes) = &declared.levels else {
            continue;
        };
        let hierarchy = codes
            .hierarchy()
            .map(|found| (&found.dataset, vec![&found.ancestor, &found.descendant]));
        // Texts beside the codes describe them.
        let is_beside = |found: &&CodeNames| found.dataset == *name && found.code == *column;
        let names = codes.names().filter(|found| !is_beside(found));
        let names = names.map(|found| (&found.dataset, vec![&found.code]));
        let labels = codes.names().map(|found| (&found.dataset, &found.name));
        for (dataset, keys) in hierarchy.into_iter().chain(names) {
            let Some(reference) = datasets
                .get(dataset)
                .filter(|found| found.kind == DatasetKind::Reference)
            else {
                let dataset = dataset.clone();
                errors.add(name, Some(column), RuleProblem::NotReference { dataset });
                continue;
            };
            for key in keys {
                let fits = reference
                    .column(key)
                    .is_some_and(|found| found.contents.fits(codes.kind().kind()));
                check_reference_column(fits, (name, column), (dataset, key), errors);
            }
        }
        if let Some((dataset, label)) = labels
            && let Some(reference) = datasets.get(dataset)
        {
            let fits = reference
                .column(label)
                .is_some_and(|found| found.contents.fits(Kind::Text));
            check_reference_column(fits, (name, column), (dataset, label), errors);
        }
        let groups = codes
            .hierarchy()
            .and_then(|found| Some((found, found.groups.as_ref()?)));
        if let Some((found, AncestorGroups { column: class, .. })) = groups {
            // Codes above others have their class where they have their names.
            let dataset = codes.names().map_or(&found.dataset, |names| &names.dataset);
            let reference = datasets.get(dataset).filter(|_| codes.names().is_some());
            let class_of_codes = reference.and_then(|reference| reference.column(class));
            let fits = class_of_codes.is_some_and(|found| found.contents.fits(Kind::Text));
            check_reference_column(fits, (name, column), (dataset, class), errors);
        }
    }
}

fn check_reference_column(
    fits: bool,
    at: (&DatasetName, &ColumnName),
    referred: (&DatasetName, &ColumnName),
    errors: &mut Errors,
) {
    if !fits {
        let problem = RuleProblem::ReferenceColumn {
            dataset: referred.0.clone(),
            column: referred.1.clone(),
        };
        errors.add(at.0, Some(at.1), problem);
    }
}

/// No link leads back to its own dataset, directly or through others.
fn check_cycles(datasets: &Datasets, errors: &mut Errors) {
    let links: BTreeMap<&DatasetName, Vec<KeyLink>> =
        datasets.iter().map(|(name, rules)| (name, rules.links())).collect();
    let edges: Edges<'_> = links
        .iter()
        .map(|(name, links)| (*name, links.iter().map(|link| &link.to).collect()))
        .collect();
    let reached: Edges<'_> = edges.keys().map(|name| (*name, reached_from(name, &edges))).collect();
    for (name, links) in &links {
        for link in links {
            if reached.get(&link.to).is_some_and(|found| found.contains(name)) {
                let to = link.to.clone();
                errors.add(name, Some(&link.column), RuleProblem::LinkCycle { to });
            }
        }
    }
}

/// The datasets that others lead to.
type Edges<'a> = BTreeMap<&'a DatasetName, BTreeSet<&'a DatasetName>>;

/// The dataset and all that its links lead to, directly or through others.
fn reached_from<'a>(name: &'a DatasetName, edges: &Edges<'a>) -> BTreeSet<&'a DatasetName> {
    let mut seen = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(next) = open.pop() {
        for to in edges.get(next).into_iter().flatten() {
            if seen.insert(*to) {
                open.push(*to);
            }
        }
    }
    seen
}

/// All datasets with subjects have the same ones.
fn check_subjects(datasets: &Datasets, errors: &mut Errors) {
    let of_kind = |is: fn(&DatasetKind) -> bool| datasets.iter().filter(move |(_, rules)| is(&rules.kind));
    let keyed = of_kind(|kind| matches!(kind, DatasetKind::Keyed { .. })).count();
    let each_row: Vec<_> = of_kind(|kind| matches!(kind, DatasetKind::EachRow)).collect();
    if keyed + each_row.len() == 0 {
        errors.add_whole(RuleProblem::NoSubjects);
    }
    if keyed + each_row.len() > 1 {
        for (name, _) in each_row {
            errors.add(name, None, RuleProblem::OtherSubjects);
        }
    }
}
