//! What a file of evidence proves, for somebody who trusts neither its writer nor the other side.
//!
//! 1. The file says by its form what it is: the evidence of one query, or a whole ledger.
//! 2. All signatures, hashes and paths in it are checked with the keys in it.
//! 3. Whose keys these are is compared with the fingerprints that the caller knows. A key that nobody named is *missing*: the
//!    file is then as good as the word of whoever gave it.

mod command;

pub use command::{Ended, run};

use concordat_protocol::audit::{ExportError, LedgerEntry, LedgerHead, check_export};
use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::query::{EvidenceBundle, EvidenceError, ValidEvidence};

/// Longest file in bytes: a ledger of some million entries.
const MAX_FILE: usize = 1 << 30;

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// In sentences.
    pub lines: Vec<String>,
    /// What is not there although all that is there holds.
    pub missing: Vec<String>,
}

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No file of a known form.
    #[error("the file is none that `audit receipt` or `audit export` writes")]
    Unreadable,
    /// The evidence of a query does not hold.
    #[error("the evidence of the query does not hold")]
    Evidence(#[from] EvidenceError),
    /// A ledger does not hold.
    #[error("the ledger does not hold")]
    Export(#[from] ExportError),
}

/// Checks a file against the fingerprints in `keys`.
///
/// # Errors
/// [`VerifyError`] if it does not hold, or is no such file.
pub fn conclude(text: &str, keys: &[String]) -> Result<Conclusion, VerifyError> {
    if text.len() > MAX_FILE {
        return Err(VerifyError::Unreadable);
    }
    let keys = Keys(keys);
    if let Ok(bundle) = serde_json::from_str::<EvidenceBundle>(text) {
        let holder = bundle.holder.clone();
        return Ok(query(&bundle.check()?, &holder, keys));
    }
    let mut lines = text.lines();
    let head = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let entries = lines.map(|line| serde_json::from_str::<String>(line).ok());
    let ledger = check_export(&head.ok_or(VerifyError::Unreadable)?, entries)?;
    let mut conclusion = Conclusion {
        lines: vec![format!(
            "the ledger of {}: {} entries up to {}, each following from the one before, as its key {} signed",
            ledger.institution,
            ledger.entries,
            ledger.at,
            ledger.key.fingerprint()
        )],
        missing: Vec::new(),
    };
    keys.compare(&ledger.institution, ledger.key, &mut conclusion);
    Ok(conclusion)
}

fn query(valid: &ValidEvidence, holder: &InstitutionId, keys: Keys<'_>) -> Conclusion {
    let (query, receipt) = (&valid.query, &valid.receipt);
    let mut lines = vec![
        format!(
            "query {} under grant {} for `{}`",
            query.query, query.grant, query.purpose
        ),
        format!(
            "asked by {} of {} on {}, signed by that institution's node: {}",
            valid.assertion.actor, query.from, query.sent_at, query.sql
        ),
        format!(
            "answered by {} until {}: {} rows, {} bytes, {} cells withheld, tier `{}`, {:?}",
            query.to, receipt.at, receipt.rows, receipt.bytes, receipt.suppressed_cells, receipt.tier, receipt.outcome
        ),
    ];
    lines.extend(receipt.ledger_head().ok().map(|head| signed_head(&query.to, &head)));
    lines.extend(valid.entries.iter().map(|entry| entered(holder, entry)));
    let mut conclusion = Conclusion {
        lines,
        missing: Vec::new(),
    };
    if valid.countersigned {
        conclusion
            .lines
            .push(format!("{} has countersigned the receipt", query.from));
        conclusion.lines.extend(
            valid
                .consumer_ledger
                .as_ref()
                .map(|head| signed_head(&query.from, head)),
        );
    } else {
        conclusion
            .missing
            .push(format!("{} has not countersigned the receipt", query.from));
    }
    keys.compare(&query.from, valid.consumer_key, &mut conclusion);
    keys.compare(&query.to, valid.provider_key, &mut conclusion);
    conclusion
}

fn signed_head(institution: &InstitutionId, head: &LedgerHead) -> String {
    let (size, root) = (head.tree.size, head.tree.root);
    format!("the ledger of {institution} had {size} entries then, root {root}, as its node signed")
}

fn entered(holder: &InstitutionId, entry: &LedgerEntry) -> String {
    let (number, what) = (entry.sequence, entry.body.describe());
    format!(
        "entry {number} of the ledger of {holder}, {}, by {}: {what}",
        entry.at, entry.cause
    )
}

/// The fingerprints that the caller knows.
#[derive(Clone, Copy)]
struct Keys<'a>(&'a [String]);

impl Keys<'_> {
    fn compare(self, institution: &InstitutionId, key: InstitutionPublicKey, conclusion: &mut Conclusion) {
        let print = key.fingerprint();
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        if self.0.iter().any(|known| plain(known) == plain(&print)) {
            conclusion
                .lines
                .push(format!("the key of {institution} is the one you named: {print}"));
        } else {
            let missing = format!("you have not named the key under which it speaks for {institution}: {print}");
            conclusion.missing.push(missing);
        }
    }
}
