//! Queries, and the catalogs of other members.

use concordat_documents::problem::Problem;
use concordat_documents::query::{
    Catalog, CatalogQuery, PublishedColumn, PublishedDataset, QueryRequest, UnreachableMember,
};

use crate::federation::{AnswerStream, RemoteDataset};
use crate::iam::{Action, Actor};
use crate::node::Node;

/// Starts a query; the ledger records it before anything is sent.
///
/// # Errors
/// `denied` without the role or a grant; `usage` if the text is not a supported query.
pub(crate) async fn run(node: &Node, caller: &Actor, request: QueryRequest) -> Result<AnswerStream, Problem> {
    caller.require(Action::Query)?;
    Ok(node.federation().query(caller, &request.sql, request.purpose).await?)
}

/// What other members publish. A member that cannot be reached is named, and the others are still listed.
///
/// # Errors
/// `denied` without the role; `unreachable` if only one member was asked for, and it does not answer.
pub(crate) async fn catalog(node: &Node, caller: &Actor, query: CatalogQuery) -> Result<Catalog, Problem> {
    caller.require(Action::ReadCatalog)?;
    let federation = node.federation();
    let mut items = Vec::new();
    let mut unreachable = Vec::new();
    let is_one = query.peer.is_some();
    for peer in query.peer.map_or_else(|| federation.peers(), |peer| vec![peer]) {
        match federation.catalog_of(&peer).await {
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
    let columns = remote.entry.columns.into_iter().map(|column| PublishedColumn {
        name: column.name,
        kind: column.kind,
        class: column.class,
    });
    PublishedDataset {
        dataset: remote.dataset.to_string(),
        institution: remote.dataset.institution,
        about_rows: remote.entry.about_rows,
        tier: remote.entry.tier,
        columns: columns.collect(),
    }
}
