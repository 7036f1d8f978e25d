//! Reading on a separate thread, which prefetches items for the consumer.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
    thread::{Builder, JoinHandle},
};

use super::error::IngestError;

/// Items that are buffered: one is produced while another is used, and one evens out differences in speed.
const WAITING: usize = 2;

/// The items of an iterator that runs on another thread.
///
/// It ends without an error only if that iterator did: a thread that panics in the middle is an error, and never looks
/// like the end of a file.
pub(super) struct Prefetch<T> {
    path: PathBuf,
    items: Option<Receiver<Result<T, IngestError>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Runs `source`, which reads the file at `path`, until its end or until this is dropped.
    ///
    /// # Errors
    /// [`IngestError::Interrupted`] if the thread cannot be started.
    pub(super) fn run(
        path: &Path,
        source: impl Iterator<Item = Result<T, IngestError>> + Send + 'static,
    ) -> Result<Self, IngestError> {
        let (sender, items) = sync_channel(WAITING);
        let thread = Builder::new().name("import".to_owned()).spawn(move || {
            for item in source {
                if sender.send(item).is_err() {
                    return;
                }
            }
        });
        let thread = thread.map_err(|source| IngestError::Interrupted {
            path: path.to_owned(),
            source: Some(source),
        })?;
        Ok(Self {
            path: path.to_owned(),
            items: Some(items),
            thread: Some(thread),
        })
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = Result<T, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(item) = self.items.as_ref()?.recv() {
            return Some(item);
        }
        self.items = None;
        let broken = self.thread.take()?.join().is_err();
        broken.then(|| {
            Err(IngestError::Interrupted {
                path: self.path.clone(),
                source: None,
            })
        })
    }
}

/// Waits for the thread, so that nothing is read any more after this is dropped.
impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.items = None;
        if let Some(thread) = self.thread.take() {
            // Its items are no longer needed, so its result does not matter.
            drop(thread.join());
        }
    }
}

impl<T> fmt::Debug for Prefetch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetch")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefetched(numbers: impl Iterator<Item = u64> + Send + 'static) -> Prefetch<u64> {
        Prefetch::run(Path::new("a.csv"), numbers.map(Ok)).unwrap()
    }

    #[test]
    fn items_are_in_order_and_early_drop_does_not_block() {
        let all: Result<Vec<u64>, _> = prefetched(0..1000).collect();
        assert_eq!(all.unwrap(), (0..1000).collect::<Vec<_>>());
        assert_eq!(prefetched(0..).next().unwrap().unwrap(), 0);
    }

    #[test]
    fn panicked_thread_is_an_error_and_not_the_end() {
        let mut broken = prefetched((0..10).inspect(|number| assert!(*number < 5, "on purpose")));
        let found: Vec<_> = broken.by_ref().collect();
        assert_eq!(found.len(), 6);
        assert!(matches!(found.last(), Some(Err(IngestError::Interrupted { .. }))));
        assert!(broken.next().is_none());
    }
}
