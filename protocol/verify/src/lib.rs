//! What an evidence file proves, for readers who trust neither its writer nor the other side.
//!
//! 1. The format of the file shows what it is: the evidence of one query, or a whole ledger.
//! 2. All signatures, hashes and paths in it are checked with the keys in it.
//! 3. The keys are compared with the fingerprints that the caller knows. A key that was not given is *missing*: the file is then
//!    only as trustworthy as its source.

mod command;

pub use command::{CommandResult, run};

use concordat_protocol::audit::{ExportError, LedgerEntry, LedgerHead, check_export};
use concordat_protocol::identity::InstitutionPublicKey;
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::query::{EvidenceBundle, EvidenceError, ValidEvidence};

/// Longest file in bytes: a ledger of several million entries.
const MAX_FILE: usize = 1 << 30;

/// What a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Each as one sentence.
    pub lines: Vec<String>,
    /// What is missing although everything in the file is valid.
    pub missing: Vec<String>,
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
}

/// Checks a file against the fingerprints in `keys`.
///
/// # Errors
/// [`VerifyError`] if it is invalid, or not such a file.
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
            "sent by {} of {} on {}, signed by that institution's node: {}",
            valid.assertion.actor, query.from, query.sent_at, query.sql
        ),
        format!(
            "answered by {} until {}: {} rows, {} bytes, {} cells withheld, tier `{}`, {:?}",
            query.to, receipt.at, receipt.rows, receipt.bytes, receipt.suppressed_cells, receipt.tier, receipt.outcome
        ),
    ];
    lines.extend(receipt.ledger_head().ok().map(|head| signed_head(&query.to, &head)));
    lines.extend(valid.entries.iter().map(|entry| describe_entry(holder, entry)));
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
    format!("the ledger of {institution} had {size} entries at that time, root {root}, as its node signed")
}

fn describe_entry(holder: &InstitutionId, entry: &LedgerEntry) -> String {
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
                .push(format!("the key of {institution} is one of the given keys: {print}"));
        } else {
            let missing = format!("the key of {institution} is not one of the given keys: {print}");
            conclusion.missing.push(missing);
        }
    }
}
