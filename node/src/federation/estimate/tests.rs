use concordat_documents::query::EstimatedPart;
use concordat_protocol::scope::{Limits, Noise, Protection, Tier};
use concordat_protocol::wire::messages::{NoiseBudget, Reason, Refusal, RefusalCode};

use super::would_send::rows_of_whole;
use super::*;
use crate::federation::planned_part::{AnswerRows, PlannedPart};
use crate::federation::source::MemberQuery;
use crate::federation::statement::ParsedQuery;
use crate::federation::tables::Tables;
use crate::federation::testing::{Dataset, Institutions, ints, texts};

const GROUPED: &str = "SELECT ward, count(*) AS n FROM consortium.heart GROUP BY ward";

fn tables(sql: &str) -> Tables {
    let heart = |name| {
        Dataset::new(
            name,
            Tier::Aggregate,
            vec![("age", ints(&[41])), ("ward", texts(&["a"]))],
        )
    };
    let all = Institutions::new(vec![heart("aachen.heart"), heart("basel.heart")]);
    all.tables_of(&ParsedQuery::parse(sql).unwrap(), &QueryReport::default())
}

fn part(target: usize, rows: AnswerRows) -> PlannedPart {
    PlannedPart {
        target,
        sql: Some("SELECT 1".to_owned()),
        rows,
        row_bytes: Some(20),
        cells: None,
        figures: Some(2),
    }
}

fn would_send(tables: &Tables, parts: Vec<PlannedPart>) -> WouldSend<'_> {
    WouldSend {
        tables,
        parts,
        is_whole: false,
        steps: vec!["a step".to_owned()],
    }
}

fn terms(queries_left: u32) -> EstimatedTerms {
    EstimatedTerms {
        tier: Tier::Aggregate,
        protection: Protection::Exact,
        limits: Limits::default(),
        queries_left: Some(queries_left),
        noise: None,
    }
}

/// The terms of each permission: those of aachen, and those of basel.
fn decided(
    would_send: &WouldSend<'_>,
    aachen: Result<EstimatedTerms, FederationError>,
    basel: Result<EstimatedTerms, FederationError>,
) -> Vec<Decided> {
    let terms = [aachen, basel];
    let permissions = would_send.permissions();
    assert_eq!(permissions.len(), 2);
    let decided = permissions.into_iter().zip(terms);
    decided
        .map(|(permission, terms)| Decided { permission, terms })
        .collect()
}

fn rows(of: &[(&str, u64)]) -> BTreeMap<DatasetRef, u64> {
    of.iter().map(|(name, rows)| (name.parse().unwrap(), *rows)).collect()
}

fn refused() -> FederationError {
    FederationError::Refused {
        provider: "basel".parse().unwrap(),
        refusal: Refusal {
            code: RefusalCode::Denied,
            reasons: vec![Reason {
                text: "the training has expired".to_owned(),
                remedy: Some("train again".to_owned()),
                rule: None,
            }],
        },
    }
}

#[test]
fn estimate_names_each_holder_with_its_decision_and_cost() {
    let tables = tables(GROUPED);
    let parts = vec![part(0, AnswerRows::Groups), part(1, AnswerRows::Groups)];
    let sent = would_send(&tables, parts);
    let decisions = decided(&sent, Ok(terms(5)), Err(refused()));
    let estimate = sent.document(&decisions, &rows(&[("aachen.heart", 3_000), ("basel.heart", 3_000)]));
    assert_eq!(estimate.decision, Decision::Deny, "one of them refuses");
    assert_eq!(estimate.about_bytes, None, "the cost of a refusal is not known");
    let [aachen, basel] = estimate.parts.as_slice() else {
        panic!("{:?}", estimate.parts);
    };
    assert_eq!((aachen.decision, aachen.queries_left), (Decision::Permit, Some(5)));
    // At most one group for each ten rows.
    assert_eq!((aachen.about_rows_read, aachen.about_rows), (Some(3_000), Some(300)));
    assert_eq!((aachen.about_bytes, aachen.about_ms), (Some(6_000), Some(32)));
    assert_eq!(aachen.datasets, ["aachen.heart"]);
    assert_eq!(aachen.protection.as_deref(), Some("exact"));
    assert_eq!(aachen.suppressed.len(), 1);
    assert_eq!(basel.decision, Decision::Deny);
    assert_eq!(basel.reasons, ["the training has expired"]);
    assert_eq!(basel.help.as_deref(), Some("train again"));
    assert_eq!((basel.about_rows, basel.queries_left), (None, None));
}

#[test]
fn estimate_of_more_queries_than_are_left_is_denied() {
    let tables = tables(GROUPED);
    let two_each = || {
        let parts = [0, 1, 0, 1].map(|target| part(target, AnswerRows::One));
        would_send(&tables, parts.to_vec())
    };
    let with_left = |left| {
        let sent = two_each();
        let decisions = decided(&sent, Ok(terms(left)), Ok(terms(2)));
        sent.document(&decisions, &BTreeMap::new())
    };
    let enough = with_left(2);
    assert_eq!(enough.decision, Decision::Permit);
    assert_eq!(enough.parts.len(), 4);
    // What no catalog lists has no known number of rows to be read; the answer is one row each.
    assert_eq!((enough.parts[0].about_rows_read, enough.about_bytes), (None, Some(80)));
    let one_left = with_left(1);
    assert_eq!(one_left.decision, Decision::Deny);
    let denied = one_left.parts.iter().filter(|part| part.decision == Decision::Deny);
    let denied: Vec<&EstimatedPart> = denied.collect();
    assert_eq!(denied.len(), 2);
    assert!(denied.iter().all(|part| part.institution.as_str() == "aachen"));
    assert!(
        denied[0].reasons[0].contains("2 queries") && denied[0].reasons[0].contains("1 more"),
        "{:?}",
        denied[0].reasons
    );
}

/// Two queries of two figures each: what is left has to suffice for both, and a query that was answered before is no refusal.
#[test]
fn estimate_states_the_figures_with_noise_that_are_left() {
    let tables = tables(GROUPED);
    let with_left = |left| {
        let parts = [0, 1, 0, 1].map(|target| part(target, AnswerRows::One));
        let sent = would_send(&tables, parts.to_vec());
        let noisy = EstimatedTerms {
            protection: Protection::Perturbed(Noise::default()),
            noise: Some(NoiseBudget {
                allowed: 32,
                used: 32 - left,
                left,
            }),
            ..terms(9)
        };
        let decisions = decided(&sent, Ok(noisy), Ok(terms(9)));
        sent.document(&decisions, &BTreeMap::new())
    };
    let is_stated = |part: &EstimatedPart| part.suppressed.iter().any(|text| text.contains("4 figures with noise"));
    for (left, is_beyond) in [(4, false), (3, true)] {
        let estimate = with_left(left);
        assert_eq!(estimate.decision, Decision::Permit);
        let aachen = &estimate.parts[0];
        let noise = aachen.noise.as_ref().unwrap();
        assert_eq!(
            (noise.allowed, noise.used, noise.left, noise.query),
            (32, 32 - left, left, Some(2))
        );
        assert_eq!(is_stated(aachen), is_beyond, "{:?}", aachen.suppressed);
        let basel = estimate.parts.iter().find(|part| part.institution.as_str() == "basel");
        assert_eq!(basel.unwrap().noise, None, "its figures are exact");
    }
}

#[test]
fn estimate_with_wider_terms_than_the_grant_is_not_accepted() {
    let tables = tables(GROUPED);
    let target = tables.targets().next().unwrap();
    let at = |tier| within(target, EstimatedTerms { tier, ..terms(1) });
    assert!(at(Tier::Aggregate).is_ok() && at(Tier::Exists).is_ok());
    assert!(matches!(at(Tier::Records), Err(FederationError::Misbehaved { .. })));
}

#[test]
fn estimate_of_a_whole_query_has_the_rows_of_its_form() {
    let tables = tables("SELECT count(*) AS n FROM aachen.heart");
    let target = tables.targets().next().unwrap();
    let found = |sql: &str, tier, grouped| {
        let query = MemberQuery {
            sql: sql.to_owned(),
            schema: std::sync::Arc::new(datafusion::arrow::datatypes::Schema::empty()),
            grouped,
            figures: None,
        };
        let target = Target { tier, ..target.clone() };
        rows_of_whole(&target, &query, &ParsedQuery::parse(sql).unwrap().query_tables())
    };
    let total = "SELECT count(*) AS n FROM aachen.heart";
    let nested = "SELECT n FROM (SELECT count(*) AS n FROM aachen.heart GROUP BY ward) AS t";
    assert_eq!(found(total, Tier::Aggregate, false), AnswerRows::One);
    assert_eq!(found(total, Tier::Exists, false), AnswerRows::One);
    assert_eq!(found(nested, Tier::Aggregate, false), AnswerRows::Groups);
    assert_eq!(found(nested, Tier::Aggregate, true), AnswerRows::Groups);
    assert_eq!(found(total, Tier::Records, false), AnswerRows::Records);
}
