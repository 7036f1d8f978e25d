//! A recovery key split into shares: any K of N recover it, and fewer reveal nothing about it.
//!
//! Shamir's scheme (A. Shamir, "How to share a secret", 1979) over GF(256), byte by byte, from the crate `blahaj`. The shared
//! secret is the 58 characters after `AGE-SECRET-KEY-1` in the line of an age identity. A share is one line, to be printed or
//! stored in a file:
//!
//! ```text
//! concordat-share-1:ESCROW:any-3:2-of-5:DATA:CHECK
//! ```
//!
//! `ESCROW` names the escrow: 10 bytes of BLAKE3 over the public half of the recovery key. `DATA` is one byte for each
//! character that is shared, `CHECK` 5 bytes of BLAKE3 over everything before it; all three are encoded in base32. The check
//! detects typing errors; a forgery is detected because the recovered key must match the name.

mod error;

use std::{fmt, str::FromStr};

use age::{secrecy::ExposeSecret, x25519};
use blahaj::Sharks;
use data_encoding::{BASE32_NOPAD_NOCASE, Encoding};
use zeroize::Zeroizing;

pub use error::ShareError;

use super::{Recipient, RecoveryKey};
use crate::labels;

const PREFIX: &str = "concordat-share-1";
/// The prefix of every age identity, which need not be shared.
const IDENTITY: &str = "AGE-SECRET-KEY-1";
/// Characters of an age identity after that: 32 bytes and a checksum in Bech32.
const SHARED: usize = 58;
const NAME_LEN: usize = 10;
const CHECK_LEN: usize = 5;
/// Shares are read aloud, typed and printed, so the case of letters does not matter.
const TEXT: Encoding = BASE32_NOPAD_NOCASE;

/// How many shares there are, and how many of them recover the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharePlan {
    shares: u8,
    threshold: u8,
}

impl SharePlan {
    /// A plan in which `threshold` of `shares` recover the key.
    ///
    /// # Errors
    /// [`ShareError::Plan`] unless 2 ≤ threshold ≤ shares.
    pub fn new(shares: u8, threshold: u8) -> Result<Self, ShareError> {
        if (2..=shares).contains(&threshold) {
            Ok(Self { shares, threshold })
        } else {
            Err(ShareError::Plan { shares, threshold })
        }
    }

    /// How many there are.
    #[must_use]
    pub fn shares(self) -> u8 {
        self.shares
    }

    /// How many recover the key.
    #[must_use]
    pub fn threshold(self) -> u8 {
        self.threshold
    }
}

/// One share of a recovery key.
pub struct Share {
    escrow: String,
    plan: SharePlan,
    number: u8,
    data: Zeroizing<Vec<u8>>,
}

impl Share {
    /// Finds the share in the contents of a file; other lines are comments.
    ///
    /// # Errors
    /// [`ShareError::NoShare`] if there is none, [`ShareError::Damaged`] if it was changed.
    pub fn in_file(contents: &[u8]) -> Result<Self, ShareError> {
        let text = std::str::from_utf8(contents).map_err(|_| ShareError::NoShare)?;
        let mut lines = text.lines().map(str::trim);
        let is_share = |line: &&str| {
            line.get(..PREFIX.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
        };
        lines.find(is_share).ok_or(ShareError::NoShare)?.parse()
    }

    /// The share as one line of text; anyone who has enough of them has the keys.
    #[must_use]
    pub fn line(&self) -> Zeroizing<String> {
        let body = self.body();
        Zeroizing::new(format!("{}:{}", *body, encode(&check(&body))))
    }

    /// The name of the escrow that it belongs to.
    #[must_use]
    pub fn escrow(&self) -> &str {
        &self.escrow
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// How many there are, and how many recover the key.
    #[must_use]
    pub fn plan(&self) -> SharePlan {
        self.plan
    }

    fn body(&self) -> Zeroizing<String> {
        let SharePlan { shares, threshold } = self.plan;
        let escrow = &self.escrow;
        let number = self.number;
        let data = Zeroizing::new(encode(&self.data));
        Zeroizing::new(format!(
            "{PREFIX}:{escrow}:any-{threshold}:{number}-of-{shares}:{}",
            *data
        ))
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(line: &str) -> Result<Self, ShareError> {
        let line = Zeroizing::new(line.trim().to_ascii_lowercase());
        let (body, checked) = line.rsplit_once(':').ok_or(ShareError::NoShare)?;
        if TEXT.decode(checked.as_bytes()).ok().as_deref() != Some(check(body).as_slice()) {
            return Err(ShareError::Damaged);
        }
        let parts: Vec<&str> = body.split(':').collect();
        let &[PREFIX, escrow, threshold, position, data] = parts.as_slice() else {
            return Err(ShareError::Damaged);
        };
        Self::from_parts(escrow, threshold, position, data).ok_or(ShareError::Damaged)
    }
}

impl Share {
    fn from_parts(escrow: &str, threshold: &str, position: &str, data: &str) -> Option<Self> {
        let threshold = threshold.strip_prefix("any-")?.parse().ok()?;
        let (number, shares) = position.split_once("-of-")?;
        let plan = SharePlan::new(shares.parse().ok()?, threshold).ok()?;
        let number = number
            .parse()
            .ok()
            .filter(|number| (1..=plan.shares).contains(number))?;
        let data = TEXT.decode(data.as_bytes()).ok().map(Zeroizing::new)?;
        (data.len() == SHARED).then(|| Self {
            escrow: escrow.to_owned(),
            plan,
            number,
            data,
        })
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Share({} of {} of {}, ..)",
            self.number, self.plan.shares, self.escrow
        )
    }
}

impl RecoveryKey {
    /// A new recovery key, to be split into shares.
    #[must_use]
    pub fn random() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Its public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(self.0.to_public())
    }

    /// Splits it; the shares come in the order of their numbers.
    ///
    /// # Errors
    /// [`ShareError::Unshareable`] if age no longer writes identities in the expected form.
    pub fn split(&self, plan: SharePlan) -> Result<Vec<Share>, ShareError> {
        let line = self.0.to_string();
        let shared = line.expose_secret().strip_prefix(IDENTITY).map(str::as_bytes);
        let shared = shared
            .filter(|shared| shared.len() == SHARED)
            .ok_or(ShareError::Unshareable)?;
        let escrow = escrow_name(&self.recipient());
        let points = Sharks(plan.threshold).dealer(shared).take(usize::from(plan.shares));
        let shares = points.map(|point| {
            let bytes = Zeroizing::new(Vec::from(&point));
            let (number, data) = bytes.split_first()?;
            Some(Share {
                escrow: escrow.clone(),
                plan,
                number: *number,
                data: Zeroizing::new(data.to_vec()),
            })
        });
        shares.collect::<Option<_>>().ok_or(ShareError::Unshareable)
    }

    /// Recovers the key.
    ///
    /// # Errors
    /// [`ShareError`] if shares do not belong together, or some are missing.
    pub fn from_shares(shares: &[Share]) -> Result<Self, ShareError> {
        let plan = common_plan(shares)?;
        let points: Vec<blahaj::Share> = shares.iter().map(point).collect::<Result<_, _>>()?;
        let recovered = Sharks(plan.threshold)
            .recover(&points)
            .map_err(|_| ShareError::Forged)?;
        let recovered = Zeroizing::new(recovered);
        let text = std::str::from_utf8(&recovered).map_err(|_| ShareError::Forged)?;
        let line = Zeroizing::new(format!("{IDENTITY}{text}"));
        let key = Self(line.parse().map_err(|_| ShareError::Forged)?);
        if shares.iter().all(|share| share.escrow == escrow_name(&key.recipient())) {
            Ok(key)
        } else {
            Err(ShareError::Forged)
        }
    }
}

/// The plan that all the shares have in common, if there are enough of them.
fn common_plan(shares: &[Share]) -> Result<SharePlan, ShareError> {
    let Some((first, others)) = shares.split_first() else {
        return Err(ShareError::None);
    };
    if let Some(other) = others.iter().find(|other| other.escrow != first.escrow) {
        return Err(ShareError::Mixed {
            one: first.escrow.clone(),
            other: other.escrow.clone(),
        });
    }
    if others.iter().any(|other| other.plan != first.plan) {
        return Err(ShareError::Forged);
    }
    let mut seen = [false; 256];
    for share in shares {
        let Some(seen) = seen.get_mut(usize::from(share.number)).filter(|seen| !**seen) else {
            return Err(ShareError::Twice { number: share.number });
        };
        *seen = true;
    }
    if shares.len() < usize::from(first.plan.threshold) {
        return Err(ShareError::TooFew {
            given: shares.len(),
            needed: first.plan.threshold,
        });
    }
    Ok(first.plan)
}

fn point(share: &Share) -> Result<blahaj::Share, ShareError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 + SHARED));
    bytes.push(share.number);
    bytes.extend_from_slice(&share.data);
    blahaj::Share::try_from(bytes.as_slice()).map_err(|_| ShareError::Damaged)
}

fn escrow_name(recipient: &Recipient) -> String {
    let hash = blake3::derive_key(labels::SHARE_NAME, recipient.0.to_string().as_bytes());
    encode(hash.first_chunk::<NAME_LEN>().map_or(&[], <[u8; NAME_LEN]>::as_slice))
}

fn check(body: &str) -> [u8; CHECK_LEN] {
    let hash = blake3::derive_key(labels::SHARE_CHECK, body.as_bytes());
    hash.first_chunk().copied().unwrap_or_default()
}

fn encode(bytes: &[u8]) -> String {
    TEXT.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
