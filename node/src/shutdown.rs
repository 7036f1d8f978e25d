//! A graceful stop in a written order.
//!
//! A node starts from the inside out (storage, then network, then services, then the APIs) and stops in the reverse order,
//! so that no part is used after it has stopped. What only waits for another node is given up first ([`Shutdown::begun`]). Each part is a
//! [`Stage`]; [`Shutdown::stop`] walks them in the order in which they were added:
//!
//! 1. cancel the stage's token: its tasks stop taking new work,
//! 2. wait for its tasks to finish their current work, for at most the stage's grace period,
//! 3. go on to the next stage, whether or not the grace period was enough, and log a warning if it was not.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The stages of one node in the order in which they stop.
#[derive(Debug, Default)]
pub struct Shutdown {
    stages: Vec<Stage>,
    begun: CancellationToken,
}

impl Shutdown {
    /// A stop with no stages yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that is canceled when the stop begins, before the first stage. For what waits for another node and would use up the
    /// grace period of the stage that waits for it.
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// Adds the stage that stops after all stages added before it.
    pub fn stage(&mut self, name: &'static str, grace: Duration) -> Stage {
        let stage = Stage {
            name,
            grace,
            token: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        self.stages.push(stage.clone());
        stage
    }

    /// Stops all stages in order and names those whose tasks outlived their grace period.
    pub async fn stop(self) -> Vec<&'static str> {
        self.begun.cancel();
        let total = self.stages.len();
        let mut late = Vec::new();
        for (index, stage) in self.stages.into_iter().enumerate() {
            let number = index.saturating_add(1);
            tracing::info!(stage = stage.name, "stopping {number} of {total}");
            if !stage.drain().await {
                tracing::warn!(stage = stage.name, grace = ?stage.grace, "stage is still busy after its grace period");
                late.push(stage.name);
            }
        }
        late
    }
}

/// One part of the node: a token that signals its tasks to finish, and the tasks themselves.
#[derive(Debug, Clone)]
pub struct Stage {
    name: &'static str,
    grace: Duration,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    /// The token that is canceled when this stage has to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The tasks of this stage, for a part that runs its own: the stop waits for them.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Runs `task` as part of this stage; the stop waits for it.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    async fn drain(&self) -> bool {
        self.token.cancel();
        self.tasks.close();
        tokio::time::timeout(self.grace, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn stages_stop_one_after_the_other() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut shutdown = Shutdown::new();
        let begun = shutdown.begun().clone();
        for name in ["api", "network", "storage"] {
            let stage = shutdown.stage(name, Duration::from_secs(60));
            let order = order.clone();
            let token = stage.token().clone();
            let begun = begun.clone();
            stage.spawn(async move {
                token.cancelled().await;
                assert!(begun.is_cancelled());
                order.lock().unwrap().push((name, "stopping"));
                tokio::task::yield_now().await;
                order.lock().unwrap().push((name, "done"));
            });
        }
        assert!(shutdown.stop().await.is_empty());
        let expected: Vec<_> = ["api", "network", "storage"]
            .into_iter()
            .flat_map(|name| [(name, "stopping"), (name, "done")])
            .collect();
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn shutdown_hanging_stage_is_named_and_skipped() {
        let mut shutdown = Shutdown::new();
        let hanging = shutdown.stage("hanging", Duration::from_millis(10));
        let last = shutdown.stage("last", Duration::from_secs(5));
        hanging.spawn(std::future::pending::<()>());
        assert_eq!(shutdown.stop().await, ["hanging"]);
        assert!(last.token().is_cancelled());
    }
}
