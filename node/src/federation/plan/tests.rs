use super::*;
use crate::federation::table::tests::target;

const HEART: &[&str] = &["age", "sex", "chol"];

fn targets(entries: &[(&str, Vec<Target>)]) -> Targets {
    let table = |name: &str| {
        Question::parse(&format!("SELECT 1 FROM {name}"))
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

fn planned(sql: &str, targets: &Targets) -> Result<Plan, QueryFault> {
    plan(Question::parse(sql).unwrap(), targets)
}

fn home(plan: Plan) -> (String, Vec<Piece>, Vec<String>) {
    match plan {
        Plan::Home { query, pieces, tables } => (
            query.to_string(),
            pieces,
            tables.into_iter().map(|(name, _)| name.to_string()).collect(),
        ),
        Plan::Whole { sql, .. } => panic!("asked as a whole: {sql}"),
    }
}

#[test]
fn a_question_about_one_dataset_is_asked_as_it_is() {
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
fn all_members_are_asked_for_their_share() {
    let both = vec![
        target("aachen.heart", Tier::Aggregate, HEART),
        target("basel.heart", Tier::Records, HEART),
    ];
    let all = targets(&[("consortium.heart", both)]);
    let (query, pieces, tables) =
        home(planned("SELECT sex, sum(chol) FROM consortium.heart GROUP BY sex", &all).unwrap());
    assert_eq!(
        query,
        "SELECT \"g0\" AS \"sex\", sum(\"a0\") AS \"sum(chol)\" FROM \"__answer_0\" GROUP BY \"g0\""
    );
    let asked: Vec<_> = pieces
        .first()
        .unwrap()
        .asks
        .iter()
        .map(|(target, _)| target.dataset.to_string())
        .collect();
    assert_eq!(asked, ["aachen.heart", "basel.heart"]);
    assert!(tables.is_empty());
}

#[test]
fn records_of_a_member_that_shares_only_aggregates_are_refused_by_name() {
    let both = vec![
        target("aachen.heart", Tier::Aggregate, HEART),
        target("basel.heart", Tier::Records, HEART),
    ];
    let all = targets(&[("consortium.heart", both)]);
    let fault = planned("SELECT median(chol) FROM consortium.heart", &all).unwrap_err();
    let told = fault.to_string();
    assert!(
        told.contains("aachen.heart") && told.contains("aggregate") && told.contains("median"),
        "{told}"
    );
}

#[test]
fn every_branch_is_answered_where_its_data_is() {
    let all = targets(&[
        ("aachen.heart", vec![target("aachen.heart", Tier::Aggregate, HEART)]),
        ("basel.heart", vec![target("basel.heart", Tier::Records, HEART)]),
    ]);
    let sql = "SELECT 'a' AS site, count(*) AS n FROM aachen.heart UNION ALL SELECT 'b', count(*) FROM basel.heart ORDER BY n";
    let (query, pieces, _) = home(planned(sql, &all).unwrap());
    assert_eq!(
        query,
        "SELECT * FROM \"__answer_0\" UNION ALL SELECT * FROM \"__answer_1\" ORDER BY n"
    );
    assert_eq!(pieces.len(), 2);
    let sql = "SELECT a.sex, a.n, b.age FROM (SELECT sex, count(*) AS n FROM aachen.heart GROUP BY sex) a \
               JOIN basel.heart b ON a.sex = b.sex";
    let (query, pieces, tables) = home(planned(sql, &all).unwrap());
    assert_eq!((pieces.len(), tables), (1, vec!["basel.heart".to_owned()]));
    assert!(
        query.contains("(SELECT * FROM \"__answer_0\") a JOIN basel.heart b"),
        "{query}"
    );
}

#[test]
fn an_unknown_column_is_told_with_those_that_are_shared() {
    let both = vec![
        target("aachen.heart", Tier::Records, HEART),
        target("basel.heart", Tier::Records, &["age"]),
    ];
    let all = targets(&[("consortium.heart", both)]);
    let fault = planned("SELECT avg(cholesterol) FROM consortium.heart", &all).unwrap_err();
    assert!(
        fault.to_string().contains("`cholesterol`") && fault.help().unwrap().contains("chol"),
        "{fault}"
    );
    let fault = planned("SELECT count(*) FROM consortium.heart WHERE chol > 3", &all).unwrap_err();
    assert!(fault.to_string().contains("basel.heart"), "{fault}");
}
