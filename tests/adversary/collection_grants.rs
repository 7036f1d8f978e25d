//! Grants over datasets of a collection: a member gets what it has requested of published ones and what the policy shows of them, and
//! nothing beside it.

use concordat_protocol::collection::{
    CollectionRules, ColumnRole, DatasetKind, KnownColumns, RawCollectionRules, RawColumnRules, RawDatasetRules,
};
use concordat_protocol::ids::{GrantId, NegotiationId};
use concordat_protocol::negotiation::ConsumerNegotiation;
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::scope::{Columns, DatasetScope, Datasets, Rows, Scope, Transform};
use concordat_protocol::wire::messages::{
    CatalogReply, CatalogRequest, GrantColumnsReply, GrantColumnsRequest, Refusal, RefusalCode,
};
use concordat_protocol::wire::streams::{CATALOG, GRANT_COLUMNS};
use concordat_storage::catalog::{CollectionImport, DatasetImport, Declared, OpenColumns};
use concordat_storage::ingest::{Source, TableOptions};
use concordat_tests::make_change;

use super::malicious_peer::now;
use super::negotiation_fixture::{granted_of, refused};
use super::queries::{envelope, revoke, send_query};
use super::well_behaved::{InProcessNode, World, column, why, wide};

/// Of `findings` the default policy shows no column to a member.
const DATASETS: [(&str, &str); 4] = [
    ("person", "person_id,sex,name\n1,f,Anna\n2,m,Bela\n3,f,Cora\n"),
    ("visit", "visit_id,person_id,ward\n10,1,a\n11,2,b\n12,3,a\n"),
    ("remarks", "remark_id,person_id,remark\n100,1,x\n101,2,y\n"),
    ("findings", "finding_id,person_id,code\n200,1,7\n201,3,8\n"),
];
/// What the attacker requests: also a dataset without naming a column, one that is not shown, and one that there is not.
const WANTED: [(&str, &[&str]); 5] = [
    ("person", &["person_id", "sex"]),
    ("visit", &["person_id", "ward"]),
    ("remarks", &[]),
    ("findings", &["person_id", "code"]),
    ("absent", &["person_id"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grant_over_datasets_opens_no_other_dataset() {
    let world = World::connected().await;
    let provider = &world.provider;
    import(provider, "clinic", true).await;
    let grant = granted_of(&world, request(provider, "clinic", &WANTED)).await;
    let shown = [
        ("person".to_owned(), vec!["person_id".to_owned(), "sex".to_owned()]),
        ("visit".to_owned(), vec!["person_id".to_owned(), "ward".to_owned()]),
    ];
    assert_eq!(granted_columns(&world, grant).await, shown);

    for answered in [
        "SELECT sex FROM person",
        "SELECT p.sex, v.ward FROM person p JOIN clinic.visit v ON p.person_id = v.person_id",
    ] {
        query(&world, grant, answered)
            .await
            .unwrap_or_else(|refusal| panic!("{answered}: {refusal:?}"));
    }
    for position in [
        "SELECT * FROM {}",
        "SELECT count(*) AS n FROM {}",
        "SELECT count(*) AS n FROM clinic.{}",
        "SELECT p.sex FROM person p JOIN {} x ON x.person_id = p.person_id",
        "SELECT sex FROM person p WHERE EXISTS (SELECT 1 FROM {} x WHERE x.person_id = p.person_id)",
        "SELECT person_id FROM person UNION ALL SELECT person_id FROM {}",
    ] {
        same_refusal(&world, grant, position, &["absent", "remarks", "findings", "heart"]).await;
    }
    for position in [
        "SELECT {} FROM visit",
        "SELECT p.sex FROM person p JOIN visit v ON p.person_id = v.person_id WHERE v.{} = 10",
    ] {
        same_refusal(&world, grant, position, &["visit_no", "visit_id"]).await;
    }
    revoke(provider, grant).await;
    let refusal = query(&world, grant, "SELECT sex FROM person").await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Denied);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collection_that_is_not_published_is_refused_as_unknown() {
    let world = World::connected().await;
    let provider = &world.provider;
    import(provider, "hidden", false).await;
    let mut refusals = Vec::new();
    for (id, collection) in [([50; 16], "hidden"), ([51; 16], "nothing")] {
        let scope = request(provider, collection, &WANTED[..2]);
        let sent = ConsumerNegotiation::request(
            NegotiationId::from_bytes(id),
            &world.attacker_as_consumer(),
            scope,
            why(),
            &world.attacker.node,
            now(),
        );
        let refusal = refused(&world.attacker, provider, sent.unwrap().message).await;
        refusals.push((refusal.code, format!("{:?}", refusal.reasons).replace(collection, "…")));
        let listed = CatalogRequest {
            from: 0,
            collection: Some(collection.parse().unwrap()),
        };
        let listed: CatalogReply = world.attacker.request(provider, CATALOG, &listed).await.unwrap();
        assert!(listed.collections.is_empty() && listed.next.is_none(), "{listed:?}");
    }
    assert_eq!(refusals[0], refusals[1]);
    assert_eq!(refusals[0].0, RefusalCode::NotFound);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalog_lists_the_datasets_that_can_be_requested() {
    let world = World::connected().await;
    import(&world.provider, "clinic", true).await;
    let request = CatalogRequest {
        from: 0,
        collection: Some("clinic".parse().unwrap()),
    };
    let reply: CatalogReply = world
        .attacker
        .request(&world.provider, CATALOG, &request)
        .await
        .unwrap();
    let [entry] = reply.collections.as_slice() else {
        panic!("{reply:?}")
    };
    let listed = entry.datasets.iter().map(|dataset| {
        let columns: Vec<&str> = dataset.columns.iter().map(|column| column.name.as_str()).collect();
        (dataset.name.as_str(), dataset.about_rows, columns.join(","))
    });
    let listed: Vec<(&str, u64, String)> = listed.collect();
    let expected = [
        ("person", 3, "person_id,sex,name".to_owned()),
        ("remarks", 2, "remark_id,person_id,remark".to_owned()),
        ("visit", 3, "visit_id,person_id,ward".to_owned()),
    ];
    assert_eq!(listed, expected);
    world.assert_still_serving().await;
}

/// Asserts that the refusals of a query that names each of these are the same but for the name.
async fn same_refusal(world: &World, grant: GrantId, position: &str, names: &[&str]) {
    let mut refusals = Vec::new();
    for name in names {
        let refusal = query(world, grant, &position.replace("{}", name)).await;
        let refusal = refusal
            .err()
            .unwrap_or_else(|| panic!("`{position}` with `{name}` was answered"));
        let reasons = format!("{:?}", refusal.reasons).replace(name, "…");
        // Names that the grant shows are listed in the order of how near they are to this one.
        let mut parts: Vec<String> = reasons.split('`').map(str::to_owned).collect();
        parts.sort();
        refusals.push((refusal.code, parts));
    }
    assert!(
        refusals.windows(2).all(|pair| pair[0] == pair[1]),
        "`{position}`: {refusals:?}"
    );
}

async fn query(world: &World, grant: GrantId, sql: &str) -> Result<(), Refusal> {
    let query = envelope(world, grant, |draft| draft.sql = sql.to_owned(), |_| ());
    send_query(&world.attacker, &world.provider, query).await.map(drop)
}

/// The datasets of a grant with their columns.
async fn granted_columns(world: &World, grant: GrantId) -> Vec<(String, Vec<String>)> {
    let mut stream = world.attacker.open(&world.provider, GRANT_COLUMNS).await.unwrap();
    stream.send(&GrantColumnsRequest { grant }).await.unwrap();
    match stream.recv().await.unwrap() {
        GrantColumnsReply::Datasets(granted) => {
            let each = granted.datasets.into_iter().map(|dataset| {
                let columns = dataset.columns.iter().map(|column| column.name.to_string());
                (dataset.name.to_string(), columns.collect())
            });
            each.collect()
        }
        GrantColumnsReply::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// A request for these columns in clear.
fn request(provider: &InProcessNode, collection: &str, datasets: &[(&str, &[&str])]) -> Scope {
    let datasets = datasets.iter().map(|(dataset, columns)| {
        let columns = columns.iter().map(|name| (column(name), Transform::Clear));
        let scope = DatasetScope {
            columns: Columns::new(columns).unwrap(),
            rows: Rows::all(),
        };
        (dataset.parse().unwrap(), scope)
    });
    Scope {
        collection: format!("{}.{collection}", provider.id()).parse().unwrap(),
        datasets: Datasets::new(datasets).unwrap(),
        ..wide(provider)
    }
}

/// Imports a collection with [`DATASETS`].
async fn import(provider: &InProcessNode, name: &'static str, is_published: bool) {
    let node = provider.node.clone();
    let work = move || {
        let files = tempfile::tempdir().unwrap();
        let datasets = DATASETS.map(|(dataset, rows)| {
            let path = files.path().join(format!("{dataset}.csv"));
            std::fs::write(&path, rows).unwrap();
            DatasetImport {
                name: dataset.parse().unwrap(),
                source: Source::at_path(path),
                options: TableOptions::default(),
                kept_options: String::new(),
            }
        });
        let request = CollectionImport::new(name.parse().unwrap(), datasets.into());
        let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known), OpenColumns::new()));
        let catalog = node.storage().catalog();
        let key = node.identity().institution_key();
        catalog
            .import_collection(&request, &declare, (&key, now()), &mut |_| ())
            .unwrap();
        if is_published {
            make_change(&node, catalog.datasets().plan_publication(&request.name));
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

fn rules(known: &KnownColumns) -> CollectionRules {
    let datasets = known.iter().map(|(dataset, columns)| {
        let columns = columns.keys().map(|column| {
            let is_subject = column.as_str() == "person_id";
            let rules = RawColumnRules {
                class: Some(class(dataset.as_str(), column.as_str())),
                role: if is_subject {
                    ColumnRole::Subject
                } else {
                    ColumnRole::Value
                },
                ..RawColumnRules::default()
            };
            (column.clone(), rules)
        });
        let rules = RawDatasetRules {
            kind: DatasetKind::Keyed {
                subject: column("person_id"),
                unique: dataset.as_str() == "person",
            },
            columns: columns.collect(),
            ..RawDatasetRules::default()
        };
        (dataset.clone(), rules)
    });
    let raw = RawCollectionRules {
        datasets: datasets.collect(),
        ..RawCollectionRules::default()
    };
    CollectionRules::check(raw, known).unwrap()
}

fn class(dataset: &str, column: &str) -> ColumnClass {
    match column {
        _ if dataset == "findings" => ColumnClass::Sensitive,
        "sex" | "ward" | "remark" => ColumnClass::Ordinary,
        _ => ColumnClass::DirectIdentifier,
    }
}
