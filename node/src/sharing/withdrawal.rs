//! Ends an answer when what permitted it does no longer: a grant that is revoked or suspended, a policy, a member or a person that has changed.

use concordat_protocol::scope::Scope;
use concordat_protocol::wire::messages::{Refusal, RefusalCode};

use super::case::Case;
use super::handle::Sharing;

impl Sharing {
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
