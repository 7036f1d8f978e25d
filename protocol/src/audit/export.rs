//! A whole ledger as text, for readers without a node: the first line is its [`ExportHead`], each further line one entry as
//! written, in base64.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::entry::{EntryError, LedgerEntry, leaf_hash};
use super::merkle::CompactTree;
use super::{Checkpoint, EntryBody};
use crate::identity::InstitutionPublicKey;
use crate::ids::{Digest32, InstitutionId};
use crate::signed::{SignatureError, Signed};
use crate::time::Timestamp;

/// The only format of the file.
const FORMAT: &str = "concordat-ledger/1";

/// The first line of an exported ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHead {
    format: String,
    /// The signed checkpoint that covers all entries of the file, in base64.
    checkpoint: String,
    /// The key that signed it.
    key: InstitutionPublicKey,
}

impl ExportHead {
    /// The head of a file that ends with the last entry of `checkpoint`.
    pub fn new(checkpoint: &Signed<Checkpoint>, key: InstitutionPublicKey) -> Self {
        Self {
            format: FORMAT.to_owned(),
            checkpoint: BASE64.encode(checkpoint.as_bytes()),
            key,
        }
    }

    /// One entry as a line of the file.
    ///
    /// # Errors
    /// [`EntryError`] if it cannot be encoded.
    pub fn line(entry: &LedgerEntry) -> Result<String, EntryError> {
        Ok(BASE64.encode(&entry.encode()?))
    }
}

/// An exported ledger that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidExport {
    /// Whose it is.
    pub institution: InstitutionId,
    /// The key that signed its checkpoint: the one that its first entry names, or one that follows it.
    pub key: InstitutionPublicKey,
    /// The keys from which it follows by the entries, the first one first.
    pub earlier_keys: Vec<InstitutionPublicKey>,
    /// How many entries there are.
    pub entries: u64,
    /// When the checkpoint was signed.
    pub at: Timestamp,
}

/// Checks an exported ledger: the chain, the root and the signature, entry by entry.
///
/// # Errors
/// [`ExportError`] names the first entry that is wrong.
pub fn check_export(
    head: &ExportHead,
    lines: impl Iterator<Item = Option<String>>,
) -> Result<ValidExport, ExportError> {
    let bytes = BASE64
        .decode(head.checkpoint.as_bytes())
        .map_err(|_| ExportError::Format)?;
    if head.format != FORMAT {
        return Err(ExportError::Format);
    }
    let checkpoint = Signed::<Checkpoint>::from_bytes(bytes).and_then(|signed| signed.verify(head.key))?;
    let checkpoint = checkpoint.document();
    let mut tree = CompactTree::new();
    let mut previous = Digest32::ZERO;
    let mut signer = None;
    let mut earlier_keys = Vec::new();
    for line in lines {
        let sequence = tree.size();
        let broken = ExportError::Broken { sequence };
        let text = line.ok_or(broken)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| broken)?;
        let entry = LedgerEntry::decode(&bytes).map_err(|_| broken)?;
        if entry.sequence != sequence || entry.previous != previous {
            return Err(broken);
        }
        let next = signer_after(signer, &entry.body, &checkpoint.institution)?;
        earlier_keys.extend(signer.filter(|_| next != signer));
        signer = next;
        previous = leaf_hash(&bytes);
        tree.push(previous);
    }
    if signer != Some(head.key) {
        return Err(ExportError::OtherKey);
    }
    if tree.size() != checkpoint.size || tree.root() != checkpoint.root {
        return Err(ExportError::OtherRoot);
    }
    Ok(ValidExport {
        institution: checkpoint.institution.clone(),
        key: head.key,
        earlier_keys,
        entries: tree.size(),
        at: checkpoint.at,
    })
}

/// The key that signs checkpoints after an entry: the first entry of every ledger names institution and key, and a key is
/// followed by another only by its own signed statement.
fn signer_after(
    signer: Option<InstitutionPublicKey>,
    body: &EntryBody,
    institution: &InstitutionId,
) -> Result<Option<InstitutionPublicKey>, ExportError> {
    match (signer, body) {
        (
            None,
            EntryBody::NodeInitialized {
                institution: owner,
                key,
                ..
            },
        ) if owner == institution => Ok(Some(*key)),
        (None, _) => Err(ExportError::OtherKey),
        (Some(before), EntryBody::InstitutionKeyReplaced { succession }) => {
            let verified = succession.clone().of(institution).map_err(|_| ExportError::OtherKey)?;
            let named = verified.document();
            // A node that stops before the new key is stored records the same succession again.
            if named.from == before || named.to == before {
                Ok(Some(named.to))
            } else {
                Err(ExportError::OtherKey)
            }
        }
        (Some(before), _) => Ok(Some(before)),
    }
}

/// Why an exported ledger is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Not an exported ledger, or another version of the format.
    #[error("the file is not a ledger in a known format")]
    Format,
    /// The checkpoint is not signed by the key that the file names.
    #[error("the checkpoint is not signed by the key that the file names")]
    Signature(#[from] SignatureError),
    /// The entries do not name the key, or do not lead to it.
    #[error("the entries name another institution or another key")]
    OtherKey,
    /// An entry is malformed, or does not follow from the one before.
    #[error("entry {sequence} is malformed or does not follow from the one before")]
    Broken {
        /// Its number.
        sequence: u64,
    },
    /// The entries are not those that the checkpoint covers.
    #[error("the entries are not those of the signed checkpoint")]
    OtherRoot,
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::audit::{Cause, NodeTask};
    use crate::identity::{InstitutionKey, PrivateKey};
    use crate::ids::NodeId;
    use crate::membership::KeySuccession;
    use crate::text::Label;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(seed: u8) -> InstitutionKey {
        InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
    }

    /// What `signer` states about the keys of `zurich`.
    fn replaced(signer: u8, from: u8, to: u8) -> EntryBody {
        let succession = KeySuccession {
            institution: InstitutionId::new("zurich").unwrap(),
            from: key(from).public(),
            to: key(to).public(),
            at: NOW,
        };
        let signed = Signed::sign(&succession, &key(signer)).unwrap();
        EntryBody::InstitutionKeyReplaced {
            succession: signed.signed().clone(),
        }
    }

    fn export(signer: u8, count: u64) -> (ExportHead, Vec<String>) {
        export_with(signer, count, &[])
    }

    fn export_with(signer: u8, count: u64, keys: &[EntryBody]) -> (ExportHead, Vec<String>) {
        let institution = InstitutionId::new("zurich").unwrap();
        let mut tree = CompactTree::new();
        let mut previous = Digest32::ZERO;
        let mut lines = Vec::new();
        for sequence in 0..count {
            let at = sequence
                .checked_sub(1)
                .and_then(|at| keys.get(usize::try_from(at).unwrap()));
            let body = match sequence {
                0 => EntryBody::NodeInitialized {
                    institution: institution.clone(),
                    node: NodeId::from_bytes([1; 32]),
                    key: key(5).public(),
                },
                _ if at.is_some() => at.unwrap().clone(),
                _ => EntryBody::NodeStarted {
                    version: Label::sanitized("1"),
                    start: None,
                },
            };
            let entry = LedgerEntry {
                sequence,
                previous,
                at: NOW,
                cause: Cause::Node { task: NodeTask::Start },
                body,
            };
            previous = leaf_hash(&entry.encode().unwrap());
            tree.push(previous);
            lines.push(ExportHead::line(&entry).unwrap());
        }
        let checkpoint = Checkpoint {
            institution,
            size: count,
            root: tree.root(),
            at: NOW,
        };
        let signed = Signed::sign(&checkpoint, &key(signer)).unwrap();
        (ExportHead::new(signed.signed(), key(signer).public()), lines)
    }

    fn check(head: &ExportHead, lines: &[String]) -> Result<ValidExport, ExportError> {
        check_export(head, lines.iter().cloned().map(Some))
    }

    #[test]
    fn exported_ledger_is_valid_only_whole_and_under_its_own_key() {
        let (head, lines) = export(5, 5);
        assert_eq!(check(&head, &lines).unwrap().entries, 5);
        assert_eq!(check(&head, &lines[..4]), Err(ExportError::OtherRoot));
        assert_eq!(check(&head, &lines[1..]), Err(ExportError::Broken { sequence: 0 }));
        let mut swapped = lines.clone();
        swapped.swap(2, 3);
        assert_eq!(check(&head, &swapped), Err(ExportError::Broken { sequence: 2 }));
        let mut forged = head.clone();
        forged.key = key(6).public();
        assert!(matches!(check(&forged, &lines), Err(ExportError::Signature(_))));
        let (other, lines) = export(6, 5);
        assert_eq!(check(&other, &lines), Err(ExportError::OtherKey));
    }

    #[test]
    fn exported_ledger_under_later_key_needs_each_key_succession() {
        let checked = |signer, keys: &[EntryBody]| {
            let (head, lines) = export_with(signer, 5, keys);
            check(&head, &lines)
        };
        let verified_key = |signer, keys: &[EntryBody]| checked(signer, keys).map(|valid| valid.key);
        let twice = [replaced(5, 5, 6), replaced(5, 5, 6), replaced(6, 6, 7)];
        assert_eq!(
            checked(7, &twice).unwrap().earlier_keys,
            [key(5).public(), key(6).public()]
        );
        assert_eq!(verified_key(6, &[replaced(5, 5, 6)]), Ok(key(6).public()));
        assert_eq!(
            verified_key(7, &[replaced(5, 5, 6), replaced(6, 6, 7)]),
            Ok(key(7).public())
        );
        assert_eq!(
            verified_key(6, &[replaced(5, 5, 6), replaced(5, 5, 6)]),
            Ok(key(6).public())
        );
        for (signer, keys) in [
            (5, vec![replaced(5, 5, 6)]),
            (6, vec![replaced(6, 5, 6)]),
            (6, vec![replaced(6, 6, 5)]),
            (7, vec![replaced(6, 6, 7)]),
            (7, vec![replaced(5, 5, 6), replaced(5, 5, 7)]),
            (7, vec![replaced(6, 6, 7), replaced(5, 5, 6)]),
        ] {
            assert_eq!(
                verified_key(signer, &keys),
                Err(ExportError::OtherKey),
                "{signer} {keys:?}"
            );
        }
    }
}
