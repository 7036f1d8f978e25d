use super::*;
use crate::federation::table::tests::target;

const HEART: &[&str] = &["age", "sex", "chol"];

fn targets(entries: &[(&str, Vec<Target>)]) -> Targets {
    let table = |name: &str| {
        ParsedQuery::parse(&format!("SELECT 1 FROM {name}"))
            .unwrap()
            .tables
            .pop_first()
            .unwrap()
    };
    entries
        .iter()
        .map(|(name, targets)| (table(name), targets.clone()))
        .collect()
}

fn planned(sql: &str, targets: &Targets) -> Result<Plan, FederationError> {
    plan(ParsedQuery::parse(sql).unwrap(), targets)
}

fn local_plan(plan: Plan) -> (String, Vec<Fragment>, Vec<String>) {
    match plan {
        Plan::Local {
            query,
            fragments,
            tables,
        } => (
            query.to_string(),
            fragments,
            tables.into_iter().map(|(name, _)| name.to_string()).collect(),
        ),
        Plan::Whole { sql, .. } => panic!("sent as a whole: {sql}"),
    }
}

#[test]
fn plan_query_of_one_dataset_is_sent_unchanged() {
    let basel = targets(&[("basel.heart", vec![target("basel.heart", Tier::Aggregate, HEART)])]);
    match planned(
        "SELECT sex, count(*) FROM basel.heart GROUP BY sex ORDER BY 2 LIMIT 3",
        &basel,
    )
    .unwrap()
    {
        Plan::Whole { sql, .. } => assert_eq!(
            sql,
            "SELECT sex, count(*) FROM \"heart\" GROUP BY sex ORDER BY 2 LIMIT 3"
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn plan_requests_a_contribution_from_all_members() {
    let both = vec![
        target("aachen.heart", Tier::Aggregate, HEART),
        target("basel.heart", Tier::Records, HEART),
    ];
    let all = targets(&[("consortium.heart", both)]);
    let (query, fragments, tables) =
        local_plan(planned("SELECT sex, sum(chol) FROM consortium.heart GROUP BY sex", &all).unwrap());
    assert_eq!(
        query,
        "SELECT \"g0\" AS \"sex\", sum(\"a0\") AS \"sum(chol)\" FROM \"__answer_0\" GROUP BY \"g0\""
    );
    let queried: Vec<_> = fragments
        .first()
        .unwrap()
        .queries
        .iter()
        .map(|(target, _)| target.dataset.to_string())
        .collect();
    assert_eq!(queried, ["aachen.heart", "basel.heart"]);
    assert!(tables.is_empty());
}

#[test]
fn plan_records_at_tier_aggregate_are_refused_by_name() {
    let both = vec![
        target("aachen.heart", Tier::Aggregate, HEART),
        target("basel.heart", Tier::Records, HEART),
    ];
    let all = targets(&[("consortium.heart", both)]);
    let error = planned("SELECT median(chol) FROM consortium.heart", &all).unwrap_err();
    let FederationError::Tier { dataset, tier, reason } = &error else {
        panic!("{error}")
    };
    assert_eq!((dataset.to_string().as_str(), *tier), ("aachen.heart", Tier::Aggregate));
    assert!(reason.contains("median"), "{reason}");
}

#[test]
fn plan_sends_every_branch_to_the_provider_of_its_data() {
    let all = targets(&[
        ("aachen.heart", vec![target("aachen.heart", Tier::Aggregate, HEART)]),
        ("basel.heart", vec![target("basel.heart", Tier::Records, HEART)]),
    ]);
    let sql = "SELECT 'a' AS site, count(*) AS n FROM aachen.heart UNION ALL SELECT 'b', count(*) FROM basel.heart ORDER BY n";
    let (query, fragments, _) = local_plan(planned(sql, &all).unwrap());
    assert_eq!(
        query,
        "SELECT * FROM \"__answer_0\" UNION ALL SELECT * FROM \"__answer_1\" ORDER BY n"
    );
    assert_eq!(fragments.len(), 2);
    let sql = "SELECT a.sex, a.n, b.age FROM (SELECT sex, count(*) AS n FROM aachen.heart GROUP BY sex) a \
               JOIN basel.heart b ON a.sex = b.sex";
    let (query, fragments, tables) = local_plan(planned(sql, &all).unwrap());
    assert_eq!((fragments.len(), tables), (1, vec!["basel.heart".to_owned()]));
    assert!(
        query.contains("(SELECT * FROM \"__answer_0\") a JOIN basel.heart b"),
        "{query}"
    );
}

#[test]
fn plan_unknown_column_error_lists_the_shared_columns() {
    let both = vec![
        target("aachen.heart", Tier::Records, HEART),
        target("basel.heart", Tier::Records, &["age"]),
    ];
    let all = targets(&[("consortium.heart", both)]);
    let error = planned("SELECT avg(cholesterol) FROM consortium.heart", &all).unwrap_err();
    assert!(
        error.to_string().contains("`cholesterol`") && error.help().unwrap().contains("chol"),
        "{error}"
    );
    let error = planned("SELECT count(*) FROM consortium.heart WHERE chol > 3", &all).unwrap_err();
    assert!(error.to_string().contains("basel.heart"), "{error}");
}
