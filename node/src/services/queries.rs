//! Queries, and the catalogs of other members.

use concordat_documents::Items;
use concordat_documents::problem::Problem;
use concordat_documents::query::{
    Catalog, CatalogQuery, FunctionRule, PublishedColumn, PublishedDataset, PublishedKey, QueryEstimate, QueryRequest,
    UnreachableMember,
};
use concordat_protocol::collection::ColumnRole;
use concordat_protocol::ids::{CollectionName, CollectionRef};

use super::functions;
use crate::federation::{AnswerStream, Question, RemoteDataset};
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Starts a query; the ledger records it before anything is sent.
///
/// # Errors
/// `denied` without the role or a grant; `usage` if the text is not a supported query.
pub(crate) async fn run(node: &Node, caller: &Actor, request: QueryRequest) -> Result<AnswerStream, Problem> {
    caller.require(Action::Query)?;
    Ok(node.federation().query(caller, &question(request)).await?)
}

/// What a query would do, cost and show. It is not sent.
///
/// # Errors
/// Those with which the query would end before it is sent.
pub(crate) async fn estimate(node: &Node, caller: &Actor, request: QueryRequest) -> Result<QueryEstimate, Problem> {
    caller.require(Action::Query)?;
    Ok(node.federation().estimate(caller, &question(request)).await?)
}

fn question(request: QueryRequest) -> Question {
    let QueryRequest {
        sql,
        purpose,
        allow_partial,
    } = request;
    Question {
        sql,
        purpose,
        allow_partial,
    }
}

/// What a query can compute, and the lowest tier at which a holder computes it.
///
/// # Errors
/// `denied` without the role.
pub(crate) fn functions(caller: &Actor) -> Result<Items<FunctionRule>, Problem> {
    caller.require(Action::ExplainDecision)?;
    Ok(functions::rules().collect())
}

/// What other members publish. A member that cannot be reached is named, and the others are still listed.
///
/// # Errors
/// `denied` without the role; `unreachable` if only one member was asked for, and it does not answer.
pub(crate) async fn catalog(node: &Node, caller: &Actor, query: CatalogQuery) -> Result<Catalog, Problem> {
    caller.require(Action::ReadCatalog)?;
    let federation = node.federation();
    let CatalogQuery { peer, dataset } = query;
    let mut items = Vec::new();
    let mut unreachable = Vec::new();
    let is_one = peer.is_some();
    for peer in peer.map_or_else(|| federation.peers(), |peer| vec![peer]) {
        let listed = match &dataset {
            None => federation.catalog_of(&peer).await,
            Some(named) => {
                let collection = CollectionRef {
                    institution: peer.clone(),
                    collection: CollectionName::from(named),
                };
                federation.collection_of(&collection).await
            }
        };
        match listed {
            Ok(datasets) => items.extend(datasets.into_iter().map(published)),
            Err(error) if is_one => return Err(error.into()),
            Err(error) => unreachable.push(UnreachableMember {
                institution: peer,
                reason: Problem::from(error).detail,
            }),
        }
    }
    Ok(Catalog { items, unreachable })
}

fn published(remote: RemoteDataset) -> PublishedDataset {
    let columns = remote.listed.columns.into_iter().map(|column| PublishedColumn {
        name: column.name,
        kind: column.kind,
        class: column.class,
        unit: column.unit.map(String::from),
        key: key(column.role),
    });
    PublishedDataset {
        dataset: remote.dataset.to_string(),
        collection: remote.dataset.collection,
        institution: remote.dataset.institution,
        about_rows: remote.listed.about_rows,
        tier: remote.tier,
        columns: columns.collect(),
    }
}

fn key(role: ColumnRole) -> Option<PublishedKey> {
    match role {
        ColumnRole::Subject => Some(PublishedKey::Subject),
        ColumnRole::Key => Some(PublishedKey::Own),
        ColumnRole::Link { to, key } => Some(PublishedKey::Of {
            dataset: to,
            column: key,
        }),
        ColumnRole::Value => None,
    }
}
