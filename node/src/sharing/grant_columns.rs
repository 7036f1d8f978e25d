//! What a grant shows: the columns of the current version that its scope names, with their types. The consumer plans its queries on them.
//!
//! No value and no number of rows is shown, and nothing that the negotiation and the catalog have not shown before. So the policy is not
//! asked; the grant must be active.

use concordat_network::hello::Attested;
use concordat_network::{FramedStream, NetworkError};
use concordat_protocol::ids::{DatasetName, GrantId};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Columns;
use concordat_protocol::wire::messages::{
    GrantColumnsReply, GrantColumnsRequest, GrantedColumn, GrantedDataset, Refusal, RefusalCode,
};
use concordat_storage::catalog::CatalogError;

use super::handle::Sharing;
use super::party_limits::Party;
use super::refusal::failed;
use super::wait_deadline::WaitDeadline;

impl Sharing {
    /// Answers requests for the columns of grants, one at a time for each institution.
    pub(super) async fn send_grant_columns(&self, mut stream: FramedStream) -> Result<(), NetworkError> {
        let consumer = stream.session().until_attested().await?;
        while let Some(GrantColumnsRequest { grant }) = stream.recv().await? {
            let reply = match self.granted_columns(&grant, &consumer).await {
                Ok(dataset) => GrantColumnsReply::Datasets(vec![dataset]),
                Err(refusal) => GrantColumnsReply::Refused(refusal),
            };
            stream.send(&reply).await?;
        }
        stream.close().await
    }

    async fn granted_columns(&self, grant: &GrantId, consumer: &Attested) -> Result<GrantedDataset, Refusal> {
        let parts = &self.0.parts;
        let party = Party::Institution(consumer.institution.clone());
        let _slot = self.0.limits.decision_slot(&party, WaitDeadline::start()).await?;
        let lease = parts.grants.lease(grant, consumer, parts.clock.now()).await?;
        let scope = &lease.terms().scope;
        let several = || Refusal::because(RefusalCode::Denied, "the collection has several datasets");
        let (dataset, granted) = scope.only().ok_or_else(several)?;
        let columns = self.own_columns(&dataset.dataset, None).await?;
        // Asked afterward: another collection of the same name is not the one that was granted.
        let facts = lease.dataset().facts(&parts.storage).await;
        let facts = facts.map_err(|_| failed("the catalog cannot be read"))?;
        let erased = || Refusal::because(RefusalCode::Denied, "the dataset that the grant is about was erased");
        let columns = columns.filter(|_| facts.is_some()).ok_or_else(erased)?;
        Ok(GrantedDataset {
            name: dataset.dataset,
            columns: shown(columns, &granted.columns),
        })
    }

    /// The columns of a version of an own dataset, `None` for the current one; `None` if there is no such dataset or version.
    ///
    /// # Errors
    /// [`Refusal`] if the catalog cannot be read.
    pub(crate) async fn own_columns(
        &self,
        dataset: &DatasetName,
        version: Option<VersionNumber>,
    ) -> Result<Option<Vec<GrantedColumn>>, Refusal> {
        let catalog = self.0.parts.storage.catalog().clone();
        let dataset = dataset.clone();
        let read = move || match catalog.open_version(&dataset, version) {
            Ok(version) => {
                let columns = version.manifest().own_columns().map(|column| GrantedColumn {
                    name: column.name.clone(),
                    kind: column.kind,
                    empty: column.empty,
                });
                Ok(Some(columns.collect()))
            }
            Err(CatalogError::NotFound { .. } | CatalogError::NoSuchVersion { .. }) => Ok(None),
            Err(other) => Err(other),
        };
        let columns = tokio::task::spawn_blocking(read).await;
        columns
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| failed("the catalog cannot be read"))
    }
}

/// Those of `columns` that `scope` shows.
fn shown(mut columns: Vec<GrantedColumn>, scope: &Columns) -> Vec<GrantedColumn> {
    columns.retain(|column| scope.names().any(|name| *name == column.name));
    columns
}
