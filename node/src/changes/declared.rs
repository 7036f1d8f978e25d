//! Changes of what is declared about a collection. Storage makes them for the receipt of their entry only.

use concordat_protocol::ids::CollectionName;
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::{CatalogError, CollectionRecord, Datasets, PlannedChange};
use concordat_storage::ledger::{Attribution, LedgerReceipt};

use super::{ChangeEntryError, Changes, Subject};

impl Changes {
    /// Enters the change that `plan` returns in the ledger, and makes it. `plan` is called as that of [`Changes::make`].
    ///
    /// # Errors
    /// As [`Changes::make`].
    pub(crate) fn declare<E>(
        &self,
        datasets: &Datasets,
        name: &CollectionName,
        by: (&Attribution, Timestamp),
        plan: impl FnOnce() -> Result<PlannedChange, E>,
    ) -> Result<CollectionRecord, E>
    where
        E: From<ChangeEntryError> + From<CatalogError>,
    {
        let plan = || {
            let planned = plan()?;
            let entry = planned.entry().clone();
            let change = move |receipt: &LedgerReceipt| Ok::<_, E>(datasets.make_change(planned, receipt)?);
            Ok::<_, E>((entry, change))
        };
        self.make_for_receipt(Subject::Dataset(name.to_string()), by, plan)
    }
}
