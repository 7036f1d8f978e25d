//! The consumer's signature under a receipt, on either side.
//!
//! 1. It is checked, entered in the ledger and stored while the record is locked, so that of several at the same time one is entered.
//! 2. The same signature again, after a reply that was lost, changes nothing. Another one for the same query is refused.
//! 3. The entry is durable before the record. A stop in between leaves an entry about a signature that is not stored: the receipt still waits, and the
//!    signature is entered once more when it comes again. The record names the second entry, and the first one if the next start finds it
//!    ([`Evidence::compare`]); of a record that is closed, it does not if the change of another query has covered the entry.

use concordat_protocol::audit::{EntryBody, LedgerHead};
use concordat_protocol::ids::QueryId;
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::{CoSigned, SignatureError, Signed};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::Countersignature;
use concordat_storage::ledger::{AnchoredHead, Attribution};

use super::{Evidence, EvidenceError, EvidenceRecord, EvidenceSide};

impl Evidence {
    /// Enters and stores a receipt of this node that the consumer has signed; it no longer waits for a signature. Returns whether
    /// this signature is stored; false if the receipt does not wait for one, or is not this one.
    ///
    /// # Errors
    /// [`EvidenceError::Invalid`] if a reader of the evidence would refuse it; or it cannot be made durable.
    pub fn receive_countersignature(
        &self,
        query: QueryId,
        signed: Countersignature,
        by: (&Attribution, Timestamp),
    ) -> Result<bool, EvidenceError> {
        let changing = self.changing(query);
        let provided = self.get(query)?.filter(|record| record.side == EvidenceSide::Provider);
        let Some((mut record, peer)) = provided.and_then(|record| record.peer.clone().map(|peer| (record, peer)))
        else {
            return Ok(false);
        };
        if let Some(before) = countersignature_of(&record) {
            return Ok(before.receipt == signed.receipt && before.ledger == signed.ledger);
        }
        let waits = self
            .outstanding(&peer.institution)?
            .iter()
            .any(|one| one.query == query);
        if !waits
            || !record
                .receipt
                .as_ref()
                .is_some_and(|ours| is_same(ours, &signed.receipt))
        {
            return Ok(false);
        }
        record.check_receipt(&signed.receipt, Some(&signed.ledger))?;
        self.enter(&mut record, entry(query, &signed.receipt, true)?, by)?;
        store(&mut record, signed);
        let change = self.put_signed(query, &record, &peer.institution)?;
        drop(changing);
        self.until_durable(change)?;
        Ok(true)
    }

    /// Enters that this node signs the receipt of a provider, and stores it with the head of this node's ledger after that entry, which
    /// `sign` signs. The state covers the head in the same transaction, so the result may then be sent. A receipt that was signed before is returned as it was; `None` if another one was,
    /// or this node did not send the query.
    ///
    /// # Errors
    /// [`EvidenceError::Invalid`] if a reader of the evidence would refuse it; or it cannot be made durable.
    pub fn countersign(
        &self,
        query: QueryId,
        (receipt, counted): (CoSigned<Receipt>, bool),
        sign: impl Fn(AnchoredHead) -> Result<Signed<LedgerHead>, SignatureError>,
        by: (&Attribution, Timestamp),
    ) -> Result<Option<Countersignature>, EvidenceError> {
        let changing = self.changing(query);
        let sent = self.get(query)?.filter(|record| record.side == EvidenceSide::Consumer);
        let Some(mut record) = sent else { return Ok(None) };
        if let Some(before) = countersignature_of(&record) {
            return Ok(Some(before).filter(|before| is_same(&before.receipt, &receipt)));
        }
        // The head that is stored is signed in the same way, after the entry.
        record.check_receipt(&receipt, Some(&sign(self.0.ledger.anchored_head())?))?;
        self.enter(&mut record, entry(query, &receipt, counted)?, by)?;
        let (signed, change) = self.apply(|head, batch| {
            let signed = Countersignature {
                receipt,
                ledger: sign(head)?,
            };
            store(&mut record, signed.clone());
            batch.put(&self.0.records, &query.to_string(), &record)?;
            Ok::<_, EvidenceError>(signed)
        })?;
        drop(changing);
        self.until_durable(change)?;
        Ok(Some(signed))
    }

    fn enter(
        &self,
        record: &mut EvidenceRecord,
        entry: EntryBody,
        (by, now): (&Attribution, Timestamp),
    ) -> Result<(), EvidenceError> {
        record.note(self.0.ledger.append(entry, by, now)?.sequence());
        Ok(())
    }
}

/// The stored countersignature.
fn countersignature_of(record: &EvidenceRecord) -> Option<Countersignature> {
    let (receipt, ledger) = record.receipt.clone().zip(record.consumer_ledger.clone())?;
    record.countersigned.then_some(Countersignature { receipt, ledger })
}

/// Whether both are signatures under one receipt.
fn is_same(one: &CoSigned<Receipt>, other: &CoSigned<Receipt>) -> bool {
    matches!((one.payload_digest(), other.payload_digest()), (Ok(one), Ok(other)) if one == other)
}

fn entry(query: QueryId, receipt: &CoSigned<Receipt>, counted: bool) -> Result<EntryBody, SignatureError> {
    let digest = receipt.payload_digest()?;
    Ok(EntryBody::ReceiptCountersigned { query, digest, counted })
}

fn store(record: &mut EvidenceRecord, Countersignature { receipt, ledger }: Countersignature) {
    record.receipt = Some(receipt);
    record.countersigned = true;
    record.consumer_ledger = Some(ledger);
}
