use concordat_protocol::scope::{BandWidth, Generalization, Transform};

use super::*;
use crate::federation::statement::ParsedQuery;
use crate::federation::testing::{Dataset, Institutions, ints, texts};

fn institutions() -> Institutions {
    let ages = |name| {
        let columns = vec![("age", texts(&["40-49"])), ("chol", ints(&[1]))];
        let band = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
        Dataset::new(name, Tier::Records, columns).showing("age", band)
    };
    Institutions::new(vec![ages("aachen.heart"), ages("basel.heart")])
}

/// The process plans on the columns that the node knows, with their forms.
#[test]
fn engine_plans_on_the_tables_that_were_sent() {
    let all = institutions();
    for sql in [
        "SELECT age FROM basel.heart",
        "SELECT age, institution FROM consortium.heart",
    ] {
        let parsed = ParsedQuery::parse(sql).unwrap();
        let report = QueryReport::default();
        let tables = all.tables_of(&parsed, &report);
        let begin = Begin::new((sql, 20_787), &tables, &report, 7).unwrap();
        let sent = encode(&begin).unwrap();
        let (begin, rest) = decode::<Begin>(Bytes::from(sent)).unwrap();
        assert!(rest.is_empty());
        assert_eq!((begin.sql.as_str(), begin.day, begin.memory), (sql, 20_787, 7));
        let received = begin.tables().unwrap();
        assert_eq!(received, tables, "{sql}");
    }
}

/// Edges are compared exactly, so each number that arrives is the one that was declared.
#[test]
fn engine_plans_on_what_holders_declare() {
    let heart = |name| {
        let columns = vec![("age", ints(&[41])), ("sex", texts(&["f"]))];
        Dataset::new(name, Tier::Aggregate, columns)
    };
    let all = Institutions::new(vec![heart("aachen.heart"), heart("basel.heart")]);
    let sql = "SELECT sex, count(*) AS n FROM consortium.heart WHERE age >= 50 GROUP BY sex";
    let parsed = ParsedQuery::parse(sql).unwrap();
    let report = QueryReport::default();
    let tables = all.tables_of(&parsed, &report);
    let sent = encode(&Begin::new((sql, 20_787), &tables, &report, 7).unwrap()).unwrap();
    let (begin, _) = decode::<Begin>(Bytes::from(sent)).unwrap();
    let received = begin.tables().unwrap();
    assert_eq!(received.declarations().count(), 2);
    assert_eq!(received, tables);
}

#[test]
fn engine_errors_cross_the_socket() {
    let crossed = |error: &FederationError| {
        let sent = encode(&FromEngine::Failed(Failure::of(error))).unwrap();
        let (FromEngine::Failed(failure), _) = decode(Bytes::from(sent)).unwrap() else {
            panic!("another message");
        };
        failure.into_error(|number| (number == 3).then(|| FederationError::unreadable(&"basel".parse().unwrap())))
    };
    let dataset: DatasetRef = "basel.heart".parse().unwrap();
    for error in [
        FederationError::usage_with("a mistake", "another text"),
        FederationError::query(&dataset, QueryError::Memory),
        FederationError::planning(QueryError::OtherVersion),
        FederationError::ColumnsChanged {
            dataset: dataset.clone(),
        },
        FederationError::NoPart {
            table: "consortium.heart".to_owned(),
            missing: vec!["it cannot be reached".to_owned()],
        },
        FederationError::Tier {
            dataset,
            tier: Tier::Aggregate,
            reason: "it selects records".to_owned(),
        },
        FederationError::LevelsDiffer {
            column: "heart.age".to_owned(),
            collection: "heart".parse().unwrap(),
            left: "aachen".parse().unwrap(),
            left_levels: "in 2 levels".to_owned(),
            right: "basel".parse().unwrap(),
            right_levels: "without levels".to_owned(),
            common: vec!["<50".to_owned()],
        },
        FederationError::SchemaMismatch {
            column: "zip".to_owned(),
            left: "aachen".parse().unwrap(),
            left_type: "text".to_owned(),
            right: "basel".parse().unwrap(),
            right_type: "a date".to_owned(),
        },
    ] {
        let received = crossed(&error);
        assert_eq!(received.to_string(), error.to_string());
        assert_eq!((received.kind(), received.help()), (error.kind(), error.help()));
        assert_eq!(
            (received.reasons(), received.is_denial()),
            (error.reasons(), error.is_denial())
        );
        assert_eq!(received.depends_on_columns(), error.depends_on_columns());
    }
    // The error of a member is the one that the node has.
    let of_member = |number| FederationError::machine("a member's part failed", MemberFailed(number));
    assert!(matches!(crossed(&of_member(3)), FederationError::Misbehaved { .. }));
    assert!(matches!(crossed(&of_member(4)), FederationError::Machine { .. }));
}

#[test]
fn engine_messages_that_are_cut_are_errors() {
    let sent = encode(&ToEngine::Rows { number: 1 }).unwrap();
    for length in 0..sent.len() {
        assert!(
            decode::<ToEngine>(Bytes::copy_from_slice(&sent[..length])).is_err(),
            "{length}"
        );
    }
    let (message, rows) = decode::<ToEngine>(Bytes::from([sent.as_slice(), b"rows"].concat())).unwrap();
    assert!(matches!(message, ToEngine::Rows { number: 1 }));
    assert_eq!(rows, "rows");
    assert!(decode::<ToEngine>(Bytes::from_static(&[0xff; 12])).is_err());
}
