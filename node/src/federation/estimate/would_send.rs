//! The queries that would be sent, and what follows from the decisions about them.

use std::collections::{BTreeMap, BTreeSet};

use concordat_documents::decision::Decision;
use concordat_documents::query::{EstimatedNoise, EstimatedPart, NoiseUnit, QueryEstimate};
use concordat_protocol::ids::{CollectionRef, DatasetRef};
use concordat_protocol::scope::Tier;
use concordat_protocol::wire::messages::EstimatedTerms;

use super::cost::{Answer, Cost, cost};
use super::noise::{beyond, noise};
use super::suppressed::suppressed;
use crate::federation::description::describe_query;
use crate::federation::error::FederationError;
use crate::federation::local_engine::Planned;
use crate::federation::planned_part::{AnswerRows, PlannedPart, row_bytes};
use crate::federation::source::{Access, MemberQuery, Target};
use crate::federation::statement::QueryTables;
use crate::federation::tables::Tables;

/// The queries that would be sent.
pub(super) struct WouldSend<'a> {
    pub(super) tables: &'a Tables,
    pub(super) parts: Vec<PlannedPart>,
    /// Whether one holder gets the whole query, and reads each dataset that it names.
    pub(super) is_whole: bool,
    pub(super) steps: Vec<String>,
}

/// One permission that queries would use.
pub(super) struct Permission {
    /// One of its datasets.
    pub(super) target: Target,
    /// The longest text, in bytes.
    pub(super) sql_bytes: usize,
    /// How many queries would be sent under it.
    queries: u32,
    /// How many figures they have together, if that is known of all.
    figures: Option<u64>,
}

impl Permission {
    fn is_of(&self, target: &Target) -> bool {
        let own = &self.target;
        own.dataset.collection() == target.dataset.collection()
            && (own.access, own.version, &own.purpose) == (target.access, target.version, &target.purpose)
    }

    /// What its queries would use of the noise together.
    fn needs(&self, noise: &EstimatedNoise) -> Option<u64> {
        match noise.unit {
            NoiseUnit::Figures => self.figures,
            NoiseUnit::MillionthsOfRho => noise.query.map(|query| query.saturating_mul(self.queries.into())),
        }
    }
}

/// What was decided about a permission.
pub(super) struct Decided {
    pub(super) permission: Permission,
    pub(super) terms: Result<EstimatedTerms, FederationError>,
}

impl<'a> WouldSend<'a> {
    pub(super) fn of(planned: Planned, tables: &'a Tables, parsed: &QueryTables) -> Result<Self, FederationError> {
        match planned {
            Planned::Local(local) => Ok(Self {
                tables,
                parts: local.parts,
                is_whole: false,
                steps: local.steps,
            }),
            Planned::Whole { target, query } => {
                let number = tables.targets().position(|known| *known == target);
                let number = number.ok_or_else(|| {
                    let invalid = std::io::Error::from(std::io::ErrorKind::InvalidData);
                    FederationError::machine("the query was planned for another dataset", invalid)
                })?;
                let rows = rows_of_whole(&target, &query, parsed);
                Ok(Self {
                    tables,
                    parts: vec![PlannedPart::of_query(number, &query, rows)],
                    is_whole: true,
                    steps: vec![describe_query(&target, &query.sql)],
                })
            }
        }
    }

    /// The parts with their targets.
    fn each(&self) -> impl Iterator<Item = (&PlannedPart, &Target)> {
        let parts = self.parts.iter();
        parts.filter_map(move |part| Some((part, self.tables.targets().nth(part.target)?)))
    }

    /// The datasets that the holder reads for a part.
    fn datasets(&self, target: &Target) -> Vec<DatasetRef> {
        if !self.is_whole {
            return vec![target.dataset.clone()];
        }
        let named = self.tables.targets().map(|named| &named.dataset);
        let of_collection = named.filter(|dataset| dataset.collection() == target.dataset.collection());
        of_collection.cloned().collect()
    }

    /// The collections whose rows would be read.
    pub(super) fn collections(&self) -> BTreeSet<CollectionRef> {
        self.each().map(|(_, target)| target.dataset.collection()).collect()
    }

    /// Each permission once.
    pub(super) fn permissions(&self) -> Vec<Permission> {
        let mut permissions: Vec<Permission> = Vec::new();
        for (part, target) in self.each() {
            let sql_bytes = part.sql.as_ref().map_or(0, String::len);
            match permissions.iter_mut().find(|permission| permission.is_of(target)) {
                Some(permission) => {
                    permission.sql_bytes = permission.sql_bytes.max(sql_bytes);
                    permission.queries = permission.queries.saturating_add(1);
                    let figures = permission.figures.zip(part.figures);
                    permission.figures = figures.map(|(before, more)| before.saturating_add(more));
                }
                None => permissions.push(Permission {
                    target: target.clone(),
                    sql_bytes,
                    queries: 1,
                    figures: part.figures,
                }),
            }
        }
        permissions
    }

    /// The document, by the decision about each permission and the rows that catalogs list.
    pub(super) fn document(self, decided: &[Decided], rows: &BTreeMap<DatasetRef, u64>) -> QueryEstimate {
        let parts: Vec<EstimatedPart> = self
            .each()
            .filter_map(|(part, target)| {
                let decided = decided.iter().find(|decided| decided.permission.is_of(target))?;
                Some(self.part(part, target, decided, rows))
            })
            .collect();
        let permitted = parts.iter().all(|part| part.decision == Decision::Permit);
        let about_bytes = parts
            .iter()
            .map(|part| part.about_bytes)
            .try_fold(0_u64, |sum, bytes| Some(sum.saturating_add(bytes?)));
        QueryEstimate {
            decision: if permitted { Decision::Permit } else { Decision::Deny },
            parts,
            remarks: Vec::new(),
            about_bytes,
            steps: self.steps,
        }
    }

    fn part(
        &self,
        part: &PlannedPart,
        target: &Target,
        decided: &Decided,
        rows: &BTreeMap<DatasetRef, u64>,
    ) -> EstimatedPart {
        let datasets = self.datasets(target);
        let read: Option<Vec<u64>> = datasets.iter().map(|dataset| rows.get(dataset).copied()).collect();
        let answer = Answer {
            rows: part.rows,
            row_bytes: part.row_bytes.unwrap_or_else(|| self.row_bytes(part.target)),
            rows_read: read.map(|read| read.into_iter().fold(0, u64::saturating_add)),
            joined: datasets.len() > 1,
            cells: part.cells,
        };
        let verdict = Verdict::of(part, target, decided, answer);
        let Cost { rows, bytes, ms } = verdict.cost;
        EstimatedPart {
            institution: target.dataset.institution.clone(),
            datasets: datasets.iter().map(ToString::to_string).collect(),
            grant: match target.access {
                Access::Grant(grant) => Some(grant),
                Access::Own => None,
            },
            purpose: target.purpose.clone(),
            tier: verdict.tier,
            sql: part.sql.clone(),
            decision: match verdict.reasons.is_empty() {
                true => Decision::Permit,
                false => Decision::Deny,
            },
            reasons: verdict.reasons,
            help: verdict.help,
            protection: verdict.protection,
            suppressed: verdict.suppressed,
            queries_left: verdict.queries_left,
            noise: verdict.noise,
            about_rows_read: answer.rows_read,
            about_rows: rows,
            about_bytes: bytes,
            about_ms: ms,
        }
    }

    /// About how many bytes a row of a target has with all of its columns.
    fn row_bytes(&self, target: usize) -> u64 {
        let mut members = self.tables.iter().flat_map(|(_, table)| &table.members);
        members.nth(target).map_or(0, |member| row_bytes(&member.schema))
    }
}

/// What follows from a decision for one part.
struct Verdict {
    tier: Tier,
    reasons: Vec<String>,
    help: Option<String>,
    protection: Option<String>,
    suppressed: Vec<String>,
    queries_left: Option<u32>,
    noise: Option<EstimatedNoise>,
    cost: Cost,
}

impl Verdict {
    fn of(part: &PlannedPart, target: &Target, decided: &Decided, answer: Answer) -> Self {
        let terms = match &decided.terms {
            Ok(terms) => terms,
            Err(error) => return Self::refused(target, error),
        };
        let queries = decided.permission.queries;
        let too_many = terms.queries_left.filter(|left| *left < queries);
        let reasons = too_many.map(|left| {
            format!("{queries} queries would be sent under the same permission, and {left} more are answered today")
        });
        let noise = noise(terms, part.figures);
        let needed = noise.as_ref().and_then(|noise| decided.permission.needs(noise));
        let beyond = noise.as_ref().and_then(|noise| beyond(noise, needed));
        let mut suppressed = suppressed(target, (part.rows, part.sql.as_deref()), terms);
        suppressed.extend(beyond);
        Self {
            tier: terms.tier,
            reasons: reasons.into_iter().collect(),
            help: too_many.map(|_| "send the query tomorrow, or query one dataset at a time".to_owned()),
            protection: (terms.tier < Tier::Records).then(|| terms.protection.to_string()),
            suppressed,
            queries_left: terms.queries_left,
            noise,
            cost: cost(answer, terms),
        }
    }

    fn refused(target: &Target, error: &FederationError) -> Self {
        let reasons = error.reasons();
        Self {
            tier: target.tier,
            reasons: match reasons.is_empty() {
                true => vec![error.to_string()],
                false => reasons,
            },
            help: error.help(),
            protection: None,
            suppressed: Vec::new(),
            queries_left: None,
            noise: None,
            cost: Cost::default(),
        }
    }
}

/// The rows of the answer to a query that one holder gets as a whole.
pub(super) fn rows_of_whole(target: &Target, query: &MemberQuery, parsed: &QueryTables) -> AnswerRows {
    match target.tier {
        Tier::Exists | Tier::Count => AnswerRows::One,
        Tier::Aggregate if !query.grouped && parsed.reads_one_table => AnswerRows::One,
        Tier::Aggregate => AnswerRows::Groups,
        Tier::Records => AnswerRows::Records,
    }
}
