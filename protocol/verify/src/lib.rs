//! What an evidence file proves, for readers who trust neither its writer nor the other side.
//!
//! 1. The format of the file shows what it is: the evidence of one query, or a whole ledger.
//! 2. All signatures, hashes and paths in it are checked with the keys in it.
//! 3. The key of each institution in it is compared with those that the caller knows for *that* institution ([`KnownKeys`]): anyone can
//!    sign a certificate that bears another institution's name. It has to be one of them, or to follow one of them by statements in the
//!    file that each key signed. Any other key makes the file invalid. If no key was given for the institution, its key is *missing*:
//!    the file is then only as trustworthy as its source.
//! 4. What the file contains is text of others. Every line of a [`Conclusion`] is escaped ([`TerminalLine`]).

mod command;
mod keys;

pub use command::{CommandResult, run};
pub use concordat_protocol::text::TerminalLine;
pub use keys::{InvalidKnownKey, KnownKeys};

use concordat_protocol::audit::{ExportError, LedgerEntry, LedgerHead, check_export};
use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::query::{EvidenceBundle, EvidenceError, ValidEvidence};
use keys::Standing;

/// Longest file in bytes: a ledger of several million entries.
const MAX_FILE: u64 = 1 << 30;

/// What a file proves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conclusion {
    /// Each as one sentence.
    pub lines: Vec<TerminalLine>,
    /// What is missing although everything in the file is valid.
    pub missing: Vec<TerminalLine>,
}

/// Why a file is not valid evidence.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not a file in a known format.
    #[error("the file was not written by `audit receipt` or `audit export`")]
    Unreadable,
    /// The evidence of a query is invalid.
    #[error("the evidence of the query is invalid")]
    Evidence(#[from] EvidenceError),
    /// A ledger is invalid.
    #[error("the ledger is invalid")]
    Export(#[from] ExportError),
    /// The key of an institution is another one than was given for it.
    #[error(
        "the key of {institution} is {found}, which neither is nor follows the one that was given for it: either another party has made \
         this file, or {institution} had another key at that time, which has to be given as well"
    )]
    OtherKey {
        /// The institution.
        institution: InstitutionId,
        /// The fingerprint of the key in the file.
        found: String,
    },
}

/// Checks a file against the keys that the caller knows.
///
/// # Errors
/// [`VerifyError`] if it is invalid, or not such a file.
pub fn conclude(text: &str, keys: &KnownKeys) -> Result<Conclusion, VerifyError> {
    if !u64::try_from(text.len()).is_ok_and(|len| len <= MAX_FILE) {
        return Err(VerifyError::Unreadable);
    }
    if let Ok(bundle) = serde_json::from_str::<EvidenceBundle>(text) {
        return query(&bundle.check()?, keys);
    }
    let mut lines = text.lines();
    let head = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let entries = lines.map(|line| serde_json::from_str::<String>(line).ok());
    let ledger = check_export(&head.ok_or(VerifyError::Unreadable)?, entries)?;
    let mut conclusion = Conclusion::default();
    conclusion.state(&format!(
        "the ledger of {}: {} entries up to {}, each following from the one before, as its key {} signed",
        ledger.institution,
        ledger.entries,
        ledger.at,
        ledger.key.fingerprint()
    ));
    conclusion.compare(keys, &ledger.institution, ledger.key, &ledger.earlier_keys)?;
    Ok(conclusion)
}

fn query(valid: &ValidEvidence, keys: &KnownKeys) -> Result<Conclusion, VerifyError> {
    let query = &valid.query;
    let receipt = &valid.receipt;
    let mut conclusion = Conclusion::default();
    conclusion.state(&format!(
        "query {} under grant {} for `{}`",
        query.query, query.grant, query.purpose
    ));
    conclusion.state(&format!(
        "sent by {} of {} on {}, signed by that institution's node: `{}`",
        valid.assertion.actor, query.from, query.sent_at, query.sql
    ));
    conclusion.state(&format!(
        "answered by {} until {}: {} rows, {} bytes, tier `{}`, {:?}",
        query.to, receipt.at, receipt.rows, receipt.bytes, receipt.tier, receipt.outcome
    ));
    if let Ok(head) = receipt.ledger_head() {
        conclusion.state(&signed_head(&query.to, &head));
    }
    for entry in &valid.entries {
        conclusion.state(&describe_entry(&valid.holder, entry));
    }
    if valid.countersigned {
        conclusion.state(&format!("{} has countersigned the receipt", query.from));
    } else {
        conclusion.lack(&format!("{} has not countersigned the receipt", query.from));
    }
    if let Some(head) = &valid.consumer_ledger {
        conclusion.state(&signed_head(&query.from, head));
    }
    for part in &valid.missing {
        conclusion.lack(&format!("{} does not show {part}", valid.holder));
    }
    for (institution, key) in [(&query.from, valid.consumer_key), (&query.to, valid.provider_key)] {
        let is_holder = *institution == valid.holder;
        let earlier: &[_] = if is_holder { &valid.earlier_keys } else { &[] };
        conclusion.compare(keys, institution, key, earlier)?;
    }
    Ok(conclusion)
}

fn signed_head(institution: &InstitutionId, head: &LedgerHead) -> String {
    let size = head.tree.size;
    let root = head.tree.root;
    let at = head.at;
    format!("the node of {institution} signed on {at} that its ledger had {size} entries, root {root}")
}

fn describe_entry(holder: &InstitutionId, entry: &LedgerEntry) -> String {
    let number = entry.sequence;
    let what = entry.body.describe();
    format!(
        "entry {number} of the ledger of {holder}, {}, by {}: {what}",
        entry.at, entry.cause
    )
}

impl Conclusion {
    fn state(&mut self, text: &str) {
        self.lines.push(TerminalLine::new(text));
    }

    fn lack(&mut self, text: &str) {
        self.missing.push(TerminalLine::new(text));
    }

    /// Compares a key with those that the caller knows for the institution.
    fn compare(
        &mut self,
        keys: &KnownKeys,
        institution: &InstitutionId,
        key: InstitutionPublicKey,
        earlier: &[InstitutionPublicKey],
    ) -> Result<(), VerifyError> {
        let found = key.fingerprint();
        match keys.standing(institution, key, earlier) {
            Standing::Given => self.state(&format!("the key of {institution} is the one that was given: {found}")),
            Standing::Follows(before) => self.state(&format!(
                "the key of {institution} is {found}, which follows the one that was given: {}",
                before.fingerprint()
            )),
            Standing::NotGiven => self.lack(&format!(
                "no key was given for {institution}, so that what bears its name may be by anyone with the key {found}"
            )),
            Standing::Other => {
                let institution = institution.clone();
                return Err(VerifyError::OtherKey { institution, found });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
