//! Queries over datasets of one collection are sent to its holder as a whole, if one permission for records covers them.

use concordat_documents::query::{AnswerRemark, RemarkKind};

use super::*;

fn omop(institution: &'static str, tier: Tier) -> [Dataset; 2] {
    let names = match institution {
        "basel" => ["basel.omop.person", "basel.omop.event"],
        _ => ["aachen.omop.person", "aachen.omop.event"],
    };
    let [person, event] = names;
    [
        Dataset::new(person, tier, vec![("id", ints(&[1, 2])), ("age", ints(&[40, 50]))]),
        Dataset::new(event, tier, vec![("id", ints(&[1, 2])), ("code", ints(&[7, 8]))]),
    ]
}

fn institutions(datasets: impl IntoIterator<Item = Dataset>) -> Arc<Institutions> {
    Arc::new(Institutions::new(datasets.into_iter().collect()))
}

async fn sent(institutions: &Arc<Institutions>, sql: &str) -> Option<String> {
    match institutions
        .plan(sql)
        .await
        .0
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
    {
        Plan::Whole { target, query } => {
            assert_eq!(target.dataset.collection().to_string(), "basel.omop", "{sql}");
            Some(query.sql)
        }
        Plan::Local(_) => None,
    }
}

#[tokio::test]
async fn plan_joins_of_one_collection_are_sent_as_a_whole() {
    let all = institutions(omop("basel", Tier::Records));
    for (sql, text) in [
        (
            "SELECT p.AGE, basel.omop.event.code FROM basel.omop.person p JOIN basel.omop.event ON p.id = event.id",
            "SELECT p.age, omop.event.code FROM \"omop\".\"person\" p JOIN \"omop\".\"event\" ON p.id = event.id",
        ),
        (
            "WITH person AS (SELECT id FROM basel.omop.person WHERE age > 40) \
             SELECT count(*) AS n FROM basel.omop.event WHERE id IN (SELECT id FROM person)",
            "WITH person AS (SELECT id FROM \"omop\".\"person\" WHERE age > 40) \
             SELECT count(*) AS n FROM \"omop\".\"event\" WHERE id IN (SELECT id FROM person)",
        ),
        (
            "SELECT age FROM basel.omop.person",
            "SELECT age FROM \"omop\".\"person\"",
        ),
    ] {
        assert_eq!(sent(&all, sql).await.as_deref(), Some(text), "{sql}");
    }
}

/// What a holder does not compute, and what several members or versions have, is computed by the consumer's node.
#[tokio::test]
async fn plan_of_several_collections_is_local() {
    let of_both = [omop("basel", Tier::Records), omop("aachen", Tier::Records)];
    let all = institutions(of_both.into_iter().flatten());
    for sql in [
        "SELECT p.age, e.code FROM basel.omop.person p JOIN aachen.omop.event e ON p.id = e.id",
        "SELECT p.age, e.code FROM basel.omop.person p RIGHT JOIN basel.omop.event e ON p.id = e.id",
        "SELECT p.age, e.code FROM basel.omop.person VERSION AS OF 3 AS p JOIN basel.omop.event e ON p.id = e.id",
    ] {
        assert_eq!(sent(&all, sql).await, None, "{sql}");
    }
    let lower = institutions(omop("basel", Tier::Aggregate));
    let joined = "SELECT p.age FROM basel.omop.person p JOIN basel.omop.event e ON p.id = e.id";
    assert!(matches!(refusal(&lower, joined).await, FederationError::Query { .. }));
}

const OF_BOTH: &str = "SELECT count(DISTINCT p.id) AS n, avg(p.age) AS mean FROM consortium.omop.person p \
                       WHERE EXISTS (SELECT 1 FROM consortium.omop.event e WHERE e.id = p.id AND e.code = 8)";

/// The holder joins what it counts, at one member and at several.
#[tokio::test]
async fn plan_joins_below_records_are_counted_at_each_member() {
    let one = institutions(omop("basel", Tier::Aggregate));
    let joined = "SELECT count(DISTINCT p.id) AS n FROM basel.omop.person p JOIN basel.omop.event e ON p.id = e.id WHERE e.code = 7";
    let text = "SELECT count(DISTINCT p.id) AS n FROM \"omop\".\"person\" p JOIN \"omop\".\"event\" e ON p.id = e.id WHERE e.code = 7";
    assert_eq!(sent(&one, joined).await.as_deref(), Some(text));

    let of_both = [omop("basel", Tier::Aggregate), omop("aachen", Tier::Aggregate)];
    let all = institutions(of_both.into_iter().flatten());
    let (rows, report) = all.answer(OF_BOTH).await.unwrap();
    assert_eq!(lines(&rows), ["2|50.0"]);
    let received = all.received();
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received[0].contains("EXISTS (SELECT 1 FROM \"event\""), "{received:?}");
    let notes = report.summary().notes;
    assert!(notes.iter().any(|note| note.contains("counts twice")), "{notes:?}");
}

/// Rows of different people may have equal keys.
#[tokio::test]
async fn plan_joins_of_records_of_several_members_are_refused() {
    let of_both = [omop("basel", Tier::Records), omop("aachen", Tier::Records)];
    let all = institutions(of_both.into_iter().flatten());
    let error = refusal(&all, OF_BOTH).await.to_string();
    assert!(error.contains("shared as records by several members"), "{error}");
    let one = "SELECT count(*) AS n FROM consortium.omop.person";
    assert_eq!(all.rows(one).await, ["4"]);
}

/// Two members, of which one declares edges of its own.
fn of_edges(aachen: Vec<i64>, basel: Option<Vec<i64>>) -> Arc<Institutions> {
    let of_both = [omop("basel", Tier::Aggregate), omop("aachen", Tier::Aggregate)];
    let mut all = Institutions::new(of_both.into_iter().flatten().collect()).declaring("aachen", aachen);
    if let Some(edges) = basel {
        all = all.declaring("basel", edges);
    }
    Arc::new(all)
}

const BY_AGE: &str = "SELECT age, count(*) AS n FROM consortium.omop.person GROUP BY age ORDER BY age";

/// Groups are those between the edges that all members have.
#[tokio::test]
async fn plan_levels_that_differ_are_those_of_all_members() {
    let all = of_edges(vec![40, 50, 60], None);
    let (rows, report) = all.answer(BY_AGE).await.unwrap();
    assert_eq!(lines(&rows), ["40-49|2", "50-59|2", "60+|-", "<40|-", "-|-"]);
    let notes = report.summary().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("`person.age`") && note.contains("`<40`, `40-49`, `50-59`, `60+`")),
        "{notes:?}"
    );
    let received = all.received();
    let labeled = received.iter().filter(|text| text.contains("THEN '40-49'"));
    assert_eq!(labeled.count(), 1, "the other member has these levels: {received:?}");
    // What a query does not depend on does not matter, and neither do other edges than those of a condition.
    let all = of_edges(vec![40, 50, 60], None);
    for (sql, expected) in [
        ("SELECT count(*) AS n FROM consortium.omop.person", "4"),
        ("SELECT count(*) AS n FROM consortium.omop.person WHERE age >= 50", "2"),
        ("SELECT avg(age) AS mean FROM consortium.omop.person", "45.0"),
    ] {
        let (rows, report) = all.answer(sql).await.unwrap();
        assert_eq!(lines(&rows), [expected], "{sql}");
        let remarks = report.summary().remarks;
        let is_of_range = |remark: &AnswerRemark| remark.kind == RemarkKind::LimitedValues;
        assert!(remarks.iter().all(is_of_range), "{sql}: {remarks:?}");
    }
}

/// Cells of other levels are other groups, whatever their labels are.
#[tokio::test]
async fn plan_levels_that_differ_are_named_with_the_member() {
    let error = refusal(&of_edges(vec![45, 55], Some(vec![40, 50])), BY_AGE).await;
    let FederationError::LevelsDiffer {
        column,
        left,
        right,
        common,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(column, "person.age");
    let named: BTreeSet<&str> = [left.as_str(), right.as_str()].into();
    assert_eq!(named, ["aachen", "basel"].into());
    assert!(common.is_empty(), "{common:?}");
    assert!(
        error.to_string().contains("`<40`") && error.to_string().contains("`<45`"),
        "{error}"
    );
    let help = error.help().unwrap();
    assert!(help.contains("concordat collection classify omop --from"), "{help}");
    // An edge that only one of them has: the error has those of both.
    let lacking = "SELECT count(*) AS n FROM consortium.omop.person WHERE age >= 45";
    let error = refusal(&of_edges(vec![40, 50, 60], Some(vec![40, 45, 60])), lacking).await;
    let text = error.to_string();
    for part in [
        "aachen",
        "basel",
        "person.age",
        "all members have `<40`, `40-59`, `60+`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A member that does not list a value has its rows with it among all others, so it has no part of either.
#[tokio::test]
async fn plan_values_that_a_member_does_not_list_lack_its_part() {
    let wards = |name: &'static str| {
        let wards = texts(&["card", "card", "onc", "derm"]);
        Dataset::new(
            name,
            Tier::Aggregate,
            vec![("id", ints(&[1, 2, 3, 4])), ("ward", wards)],
        )
    };
    let datasets = vec![wards("aachen.wards"), wards("basel.wards")];
    let all = Institutions::new(datasets)
        .listing("aachen", vec!["card", "onc"])
        .listing("basel", vec!["card"]);
    let sql = "SELECT ward, count(*) AS n FROM consortium.wards GROUP BY ward ORDER BY ward";
    let all = Arc::new(all);
    let (rows, report) = all.answer(sql).await.unwrap();
    // Basel has two more of all but `card`, and no one knows of which.
    assert_eq!(lines(&rows), ["card|4", "onc|1", "other|1", "-|-"]);
    let notes = report.summary().notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("`basel.wards` does not list `onc` in `wards.ward`")),
        "{notes:?}"
    );
    // The groups of a query are decided by each member, or by none.
    let cases = "SELECT CASE WHEN ward = 'card' THEN 'a' ELSE 'b' END AS g, count(*) AS n FROM consortium.wards GROUP BY 1 ORDER BY 1";
    let (rows, report) = all.answer(cases).await.unwrap();
    assert_eq!(lines(&rows), ["a|4", "b|4"]);
    assert!(report.summary().notes.is_empty(), "{:?}", report.summary().notes);
    let unlisted = "SELECT count(*) AS n FROM consortium.wards WHERE ward = 'onc'";
    let error = refusal(&all, unlisted).await.to_string();
    assert!(error.contains("basel.wards"), "{error}");
}
