//! The newest notices about a grant that each side knows.

use serde::{Deserialize, Serialize};

use super::Notice;
use crate::ids::{Digest32, GrantId};
use crate::signed::{SignatureError, Signed};

/// A notice, by its number and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeHead {
    /// Its number.
    pub sequence: u32,
    /// Digest of the signed notice.
    pub digest: Digest32,
}

/// The newest notices about a grant that the sender of this knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantHeads {
    /// The grant.
    pub grant: GrantId,
    /// The newest that the sender has made; `None` before the first.
    pub own: Option<NoticeHead>,
    /// The newest of the other side that the sender has applied; `None` before the first.
    pub applied: Option<NoticeHead>,
}

/// What the sender of [`GrantHeads`] lacks, as signed by who made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewerNotices {
    /// A notice of its own: it was restored from before it.
    pub yours: Option<Signed<Notice>>,
    /// A notice of the side that answers.
    pub ours: Option<Signed<Notice>>,
}

impl NoticeHead {
    /// The head of a notice.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not a notice.
    pub fn of(notice: &Signed<Notice>) -> Result<Self, SignatureError> {
        Ok(Self {
            sequence: notice.peek_unverified()?.sequence,
            digest: notice.digest(),
        })
    }
}

/// Whether a side whose newest notice is `known` lacks `notice` of the same sender: one with a later number, another one with the same
/// number, or one that ended the grant, because nothing follows an end.
fn is_lacking(known: Option<NoticeHead>, notice: &Notice, digest: Digest32) -> bool {
    known.is_none_or(|known| {
        known.digest != digest && (notice.sequence >= known.sequence || notice.event.ends_the_grant())
    })
}

impl GrantHeads {
    /// Whether the sender of this lacks `notice`, which it made itself.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not a notice.
    pub fn lacks_own(&self, notice: &Signed<Notice>) -> Result<bool, SignatureError> {
        Ok(is_lacking(self.own, &notice.peek_unverified()?, notice.digest()))
    }

    /// Whether the sender of this lacks `notice`, which the other side made.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not a notice.
    pub fn lacks_applied(&self, notice: &Signed<Notice>) -> Result<bool, SignatureError> {
        Ok(is_lacking(self.applied, &notice.peek_unverified()?, notice.digest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::GrantEvent;
    use crate::grant::testing::{T0, node, terms};
    use crate::text::Reason;

    fn notice(event: GrantEvent, sequence: u32) -> Signed<Notice> {
        let terms = terms();
        let notice = Notice {
            grant: terms.grant,
            event,
            reason: Reason::sanitized("why"),
            from: terms.provider,
            to: terms.consumer,
            sequence,
            at: T0,
        };
        Signed::sign(&notice, &node(1)).unwrap().signed().clone()
    }

    fn knowing(own: Option<&Signed<Notice>>) -> GrantHeads {
        GrantHeads {
            grant: terms().grant,
            own: own.map(|own| NoticeHead::of(own).unwrap()),
            applied: None,
        }
    }

    #[test]
    fn grant_heads_show_what_a_restored_side_lacks() {
        let suspend = notice(GrantEvent::Suspend, 1);
        let other = notice(GrantEvent::Resume, 1);
        let resume = notice(GrantEvent::Resume, 2);
        let revoke = notice(GrantEvent::Revoke, 1);
        for (known, shown, lacks) in [
            (None, &suspend, true),
            (Some(&suspend), &suspend, false),
            (Some(&suspend), &resume, true),
            (Some(&resume), &suspend, false),
            (Some(&suspend), &other, true),
            (Some(&resume), &revoke, true),
            (Some(&revoke), &revoke, false),
        ] {
            assert_eq!(knowing(known).lacks_own(shown).unwrap(), lacks, "{known:?} {shown:?}");
        }
        assert!(knowing(Some(&suspend)).lacks_applied(&suspend).unwrap());
    }
}
