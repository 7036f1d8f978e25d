//! The size of planned statements, for every construct nested in itself and in others.

#[path = "../../../../tests/harness/constructs.rs"]
#[expect(unreachable_pub, reason = "the same file is public where the whole node is tested")]
mod constructs;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use proptest::prelude::*;

use super::*;
use crate::{
    guard::View,
    one_dataset::OneDataset,
    plan::planned,
    session::session_context,
    size::{MAX_NODES, admitted, nodes_written_out, rows_per_batch},
    statement,
};
use constructs::{CONSTRUCTS, Construct};

/// Stack for the deepest statement in an unoptimized build, as in an engine process.
const STACK: usize = 256 << 20;

fn on_large_stack(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

fn nodes(plan: &LogicalPlan) -> usize {
    let mut sum = 0;
    plan.apply(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|_| {
                sum += 1;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .unwrap();
    sum
}

/// Plans as the engine does; an admitted plan must stay within its estimated size. Returns whether it was admitted.
async fn stays_within(fixture: &Fixture, sql: &str) -> bool {
    let scope = OneDataset::of(&clear(Tier::Records, &["name", "age", "sex"])).unwrap();
    let key = fixture.pseudonym_key(None);
    let view = View::new(fixture, &scope, &key).unwrap();
    let statement = match statement::checked(sql, &scope.dataset, None, &["name", "age", "sex"]) {
        Ok(statement) => statement,
        Err(QueryError::TooComplex { .. } | QueryError::Syntax { .. }) => return false,
        Err(other) => panic!("{sql}: {other}"),
    };
    let context = session_context(
        &scope.dataset,
        Arc::new(view),
        fixture.object_store(),
        &Bounds::default(),
    )
    .unwrap();
    let state = context.state();
    let plan = match planned(&state, statement, &scope.dataset).await {
        Ok(plan) => plan,
        Err(QueryError::Invalid { .. } | QueryError::TooComplex { .. }) => return false,
        Err(other) => panic!("{sql}: {other}"),
    };
    if admitted(&plan).is_err() {
        return false;
    }
    let measured = nodes_written_out(&plan);
    let optimized = state.optimize(&plan).unwrap();
    // A plan repeats its columns: in a condition, in a projection, in the list of columns to read.
    let most = measured.saturating_mul(2).saturating_add(50);
    assert!(nodes(&optimized) <= most, "{} > {most}: {sql}", nodes(&optimized));
    true
}

fn statements(expression: &str) -> [String; 2] {
    [
        format!("SELECT {expression} AS x FROM heart"),
        format!("SELECT age FROM heart WHERE ({expression}) IS NULL"),
    ]
}

#[test]
fn construct_in_itself_stays_within_its_estimated_size() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    on_large_stack(|| {
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            for construct in CONSTRUCTS {
                for depth in [1, 3, 6, 12, 60] {
                    for sql in statements(&construct.nested(depth)) {
                        let began = tokio::time::Instant::now();
                        let admitted = stays_within(&fixture, &sql).await;
                        assert!(
                            began.elapsed() < Duration::from_secs(20),
                            "{:?}: {sql}",
                            began.elapsed()
                        );
                        assert!(admitted || depth > 3, "{sql} is an ordinary query");
                    }
                }
            }
        });
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn construct_in_another_stays_within_its_estimated_size(
        (one, other) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        depth in 2_usize..14,
    ) {
        let one: &Construct = one.get(CONSTRUCTS);
        let other: &Construct = other.get(CONSTRUCTS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        on_large_stack(|| {
            runtime.block_on(async {
                let fixture = Fixture::new().await;
                for sql in statements(&one.nested_in(other, depth)) {
                    stays_within(&fixture, &sql).await;
                }
            });
        });
    }
}

#[tokio::test]
async fn aliases_count_as_their_whole_expression() {
    let fixture = Fixture::new().await;
    let long = vec!["age"; 50].join(" + ");
    let many = |what: &str| vec![what; 1000].join(", ");
    for sql in [
        format!("SELECT ({long}) AS b, count(*) FROM heart GROUP BY {}", many("b")),
        format!("SELECT ({long}), count(*) FROM heart GROUP BY {}", many("1")),
        format!("SELECT {} FROM heart", vec!["*"; MAX_NODES / 2].join(",")),
    ] {
        // It is refused before it is planned, because planning takes the time.
        let scope = clear(Tier::Records, &["age", "sex", "name"]);
        let one = OneDataset::of(&scope).unwrap();
        let checked = statement::checked(&sql, &one.dataset, None, &["age", "sex", "name"]);
        assert!(matches!(checked, Err(QueryError::TooComplex { .. })), "{sql:.40}");
        let error = fixture.refused(scope, &sql).await;
        assert!(matches!(error, QueryError::TooComplex { .. }), "{error}");
    }
}

#[tokio::test]
async fn like_pattern_is_a_short_literal() {
    let fixture = Fixture::new().await;
    let long = "%a".repeat(600);
    for (pattern, admitted) in [
        ("'Sent%'".to_owned(), true),
        ("name".to_owned(), false),
        ("concat('%', name)".to_owned(), false),
        ("'%' || 'a'".to_owned(), false),
        (format!("'{long}'"), false),
    ] {
        for operator in ["LIKE", "NOT LIKE", "ILIKE"] {
            let sql = format!("SELECT age FROM heart WHERE name {operator} {pattern}");
            let result = fixture.rows(clear(Tier::Records, &["age", "name"]), &sql).await;
            assert_eq!(result.is_ok(), admitted, "{sql}: {result:?}");
        }
    }
}

#[tokio::test]
async fn batches_shrink_as_text_grows() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(60_000);
    let sql = format!("SELECT sum(octet_length(concat(name, '{long}'))) FROM heart");
    let rows = fixture.rows(clear(Tier::Records, &["name"]), &sql).await.unwrap();
    assert!(rows[0][0].parse::<usize>().unwrap() > 200 * 60_000);
    let wide = vec![format!("concat(name, name, '{}')", "x".repeat(600)); 90].join(" || ");
    let sql = format!("SELECT octet_length({wide}) AS a FROM heart");
    let error = fixture.refused(clear(Tier::Records, &["name"]), &sql).await;
    assert!(matches!(error, QueryError::TooComplex { .. }), "{error}");

    // A batch contains as many rows as fit, and a row that is too wide is not computed. One letter may become three in
    // upper case.
    let expression_of = |bytes: usize, capitals: usize| {
        let open = "upper(".repeat(capitals);
        let close = ")".repeat(capitals);
        let text = "x".repeat(bytes);
        format!("{open}concat(name, '{text}'){close}")
    };
    let rows = async |expression: String| {
        let plan = plan_of(&fixture, &format!("SELECT octet_length({expression}) AS a FROM heart")).await;
        rows_per_batch(&plan, 8192)
    };
    assert_eq!(rows("name".to_owned()).await.unwrap(), 8192);
    let few = rows(expression_of(20_000, 0)).await.unwrap();
    let fewer = rows(expression_of(60_000, 0)).await.unwrap();
    assert!(fewer < few && few < 8192, "{fewer} {few}");
    let too_wide = rows(expression_of(60_000, 5)).await;
    assert!(matches!(too_wide, Err(QueryError::TooComplex { .. })), "{too_wide:?}");
}

/// Functions that only the consumer computes.
#[tokio::test]
async fn batches_shrink_as_text_is_repeated() {
    let column = crate::ShownColumn {
        name: "name".to_owned(),
        kind: concordat_protocol::schema::ColumnKind::Text,
        transform: concordat_protocol::scope::Transform::Clear,
    };
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let home = super::home::Home::of(vec![(column, names)]);
    let rows = async |expression: &str| {
        let sql = format!("SELECT length({expression}) AS a FROM t");
        let plan = home.planned(&sql, crate::Casts::Strict).await.unwrap();
        rows_per_batch(&plan, 8192)
    };
    for (expression, most) in [
        ("repeat(name, 1000)", 300),
        ("rpad(name, 20000)", 500),
        ("lpad(name, 20000)", 500),
        ("replace(name, 'a', name)", 3000),
        ("concat_ws(',', repeat(name, 1000), name)", 150),
    ] {
        let rows = rows(expression).await.unwrap();
        assert!(rows <= most, "{expression}: {rows}");
    }
    for expression in [
        "repeat(name, 1000000)",
        "rpad(name, 3000000)",
        "repeat(repeat(name, 1000), 1000)",
    ] {
        let refused = rows(expression).await;
        assert!(
            matches!(refused, Err(QueryError::TooComplex { .. })),
            "{expression}: {refused:?}"
        );
    }
}

/// The plan of a statement that was checked.
async fn plan_of(fixture: &Fixture, sql: &str) -> LogicalPlan {
    let scope = OneDataset::of(&clear(Tier::Records, &["name", "age", "sex"])).unwrap();
    let key = fixture.pseudonym_key(None);
    let view = View::new(fixture, &scope, &key).unwrap();
    let statement = statement::checked(sql, &scope.dataset, None, &["name", "age", "sex"]).unwrap();
    let store = fixture.object_store();
    let context = session_context(&scope.dataset, Arc::new(view), store, &Bounds::default()).unwrap();
    planned(&context.state(), statement, &scope.dataset).await.unwrap()
}

/// Three rows of many columns: a batch is not allocated for 32,768 rows.
#[tokio::test]
async fn wide_tables_are_answered() {
    for (columns, text) in [(1100, false), (520, true)] {
        let subjects: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let value = |at: usize| -> ArrayRef {
            if text {
                Arc::new(StringArray::from(vec![
                    format!("a{at}"),
                    format!("b{at}"),
                    format!("c{at}"),
                ]))
            } else {
                Arc::new(Int64Array::from(vec![Some(i64::try_from(at).unwrap()), None, Some(7)]))
            }
        };
        let names: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
        let wide = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), value(at), true));
        let wide = std::iter::once(("mrn", subjects, false)).chain(wide);
        let batch = RecordBatch::try_from_iter_with_nullable(wide).unwrap();
        let mut fixture = Fixture::of(std::slice::from_ref(&batch)).await;
        fixture.schema = batch.schema();
        let scope = clear(Tier::Records, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let rows = fixture.rows(scope, "SELECT * FROM heart LIMIT 1").await.unwrap();
        assert_eq!((rows.len(), rows[0].len()), (1, columns));
    }
}

#[tokio::test]
async fn unparsable_statement_is_refused_quickly() {
    let fixture = Fixture::new().await;
    for (open, close) in [
        ("CAST(", " AS INT)"),
        ("CASE WHEN ", " THEN 1 END"),
        ("isnan(CAST(", " AS DOUBLE))"),
        ("trim(", ")"),
    ] {
        for depth in [7, 14, 40, 1000] {
            // The middle cannot be parsed, so every way to parse what is around it is tried.
            let sql = format!("SELECT {}1 1{} FROM heart", open.repeat(depth), close.repeat(depth));
            let began = tokio::time::Instant::now();
            fixture.refused(clear(Tier::Records, &["age"]), &sql).await;
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{open} {depth}: {:?}",
                began.elapsed()
            );
        }
    }
}

#[tokio::test]
async fn what_grows_too_large_is_refused_before_it_grows() {
    let fixture = Fixture::new().await;
    let nest = |text: &str, depth| (0..depth).fold("age".to_owned(), |inner, _| text.replace("{}", &inner));
    let arms: String = (0..1200).map(|n| format!("WHEN age = {n} THEN false ")).collect();
    for expression in [
        nest("coalesce({}, 1)", 12),
        nest("nvl({}, 1)", 12),
        nest("CASE WHEN {} BETWEEN 1 AND 3 THEN 1 END", 6),
        format!("CASE {arms} ELSE true END"),
    ] {
        let error = fixture
            .refused(
                clear(Tier::Records, &["age"]),
                &format!("SELECT {expression} FROM heart"),
            )
            .await;
        assert!(matches!(error, QueryError::TooComplex { .. }), "{error}");
    }
    // A long list does not grow.
    let list: Vec<String> = (0..9000).map(|n| n.to_string()).collect();
    let sql = format!("SELECT age FROM heart WHERE age IN ({})", list.join(","));
    assert_eq!(
        fixture.rows(clear(Tier::Records, &["age"]), &sql).await.unwrap().len(),
        200
    );
}
