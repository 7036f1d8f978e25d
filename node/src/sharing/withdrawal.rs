//! Ends an answer when what permitted it does no longer: a grant that is revoked or suspended, a policy, a member or a person that has
//! changed.

use std::time::Duration;

use concordat_protocol::scope::Scope;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};

use super::case::Case;
use super::handle::Sharing;
use crate::iam::{Actor, IamError};

/// How often it is checked whether a person whose answer is read may still act, besides after each change: a session ends by its time too.
const ACCOUNT_CHECK_INTERVAL: Duration = Duration::from_secs(5);

impl Sharing {
    /// Waits until `actor` may act no longer: their session has ended or their account was changed.
    pub async fn until_ended(self, actor: Actor) -> IamError {
        let parts = &self.0.parts;
        let mut changed = parts.epoch.watch();
        loop {
            changed.mark_unchanged();
            if let Err(error) = actor.check_current(parts.clock.now()) {
                return error;
            }
            // The epoch lives as long as the node: only the time is left to wait for if it does not.
            if let Ok(Err(_)) = tokio::time::timeout(ACCOUNT_CHECK_INTERVAL, changed.changed()).await {
                tokio::time::sleep(ACCOUNT_CHECK_INTERVAL).await;
            }
        }
    }

    /// Waits until the decision of `epoch` about `scope` is no longer valid, and returns the reason.
    pub(super) async fn until_withdrawn(&self, case: &Case, scope: &Scope, mut epoch: u64) -> Refusal {
        let mut changed = self.0.parts.epoch.watch();
        loop {
            let now = *changed.borrow_and_update();
            if now != epoch {
                if let Err(refusal) = case.guard(self.0.parts.clock.now()).await {
                    return refusal;
                }
                if let Err(refusal) = self.still_permits(case, scope).await {
                    return refusal;
                }
                epoch = now;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Checks that everything in `before` is still permitted.
    pub(super) async fn still_permits(&self, case: &Case, before: &Scope) -> Result<(), Refusal> {
        let mut scope = self.decide(case, &self.policy()).await?;
        // The window of a local permission starts again with each decision; the other parts must not have become narrower.
        scope.window = before.window;
        if !scope.covers(before) {
            return Err(Refusal::because(
                RefusalCode::Denied,
                "the permitted scope is narrower now than when the answer began",
            ));
        }
        Ok(())
    }
}
