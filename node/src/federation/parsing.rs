//! How many texts of people are read at the same time.
//!
//! What a text costs its parser is bounded, but it can be most of a second, and a text that no bound foresees is read until its deadline. One
//! text of each person is read at a time, and few in all, in the order in which they came: so a person with many texts delays the others by
//! one of them. The permits are free as soon as the reading has ended, or is dropped with its process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::ids::ActorId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::error::FederationError;

/// Texts of one person that are read at the same time.
const PER_PERSON: usize = 1;
/// Texts that are read at the same time.
const ALL: usize = 4;

/// The texts that are read, and those that wait.
#[derive(Debug)]
pub(super) struct Parsing {
    all: Arc<Semaphore>,
    people: Mutex<BTreeMap<ActorId, Arc<Semaphore>>>,
}

impl Default for Parsing {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(ALL)),
            people: Mutex::default(),
        }
    }
}

impl Parsing {
    /// Does `reading`, which reads one text of `person`, when its permits are free.
    ///
    /// # Errors
    /// Those of `reading`.
    pub(super) async fn run<T>(
        &self,
        person: &ActorId,
        reading: impl Future<Output = Result<T, FederationError>>,
    ) -> Result<T, FederationError> {
        let permits = self.permits(person).await;
        let _permits = permits.map_err(|closed| FederationError::machine("no text can be read", closed))?;
        reading.await
    }

    /// The permit of the person first: what waits for the other one is one text of each person.
    async fn permits(&self, person: &ActorId) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let own = self.of(person).acquire_owned().await?;
        let one = Arc::clone(&self.all).acquire_owned().await?;
        Ok([own, one])
    }

    fn of(&self, person: &ActorId) -> Arc<Semaphore> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        // People of whom no text is read or waits need no entry.
        people.retain(|_, own| Arc::strong_count(own) > 1);
        let own = people
            .entry(person.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(PER_PERSON)));
        Arc::clone(own)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Longer than a busy machine needs for what is ready.
    const LIMIT: Duration = Duration::from_secs(20);

    fn person(name: &str) -> ActorId {
        format!("{name}@budapest").parse().unwrap()
    }

    /// Counts the texts that are read, and reads each until it is dropped.
    fn endless(parsing: &Arc<Parsing>, name: &str, begun: &Arc<AtomicUsize>) -> tokio::task::JoinHandle<()> {
        let parsing = Arc::clone(parsing);
        let begun = Arc::clone(begun);
        let person = person(name);
        tokio::spawn(async move {
            let reading = async {
                begun.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<Result<(), FederationError>>().await
            };
            parsing.run(&person, reading).await.unwrap();
        })
    }

    async fn await_begun(begun: &AtomicUsize, count: usize) {
        while begun.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn parsing_of_one_person_does_not_delay_that_of_others() {
        let parsing = Arc::new(Parsing::default());
        let begun = Arc::new(AtomicUsize::new(0));
        let long: Vec<_> = (0..20).map(|_| endless(&parsing, "eva", &begun)).collect();
        await_begun(&begun, 1).await;
        let pal = person("pal");
        let other = parsing.run(&pal, async { Ok(()) });
        assert!(timeout(LIMIT, other).await.expect("it does not wait").is_ok());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        let own = person("eva");
        let waiting = parsing.run(&own, async { Ok(()) });
        assert!(timeout(Duration::from_millis(50), waiting).await.is_err());
        for task in long {
            task.abort();
            // It is canceled, and its permits are free.
            drop(task.await);
        }
        let next = parsing.run(&own, async { Ok(()) });
        assert!(timeout(LIMIT, next).await.expect("it is the next one").is_ok());
        let people = parsing.people.lock().unwrap().len();
        assert!(people <= 2, "{people}");
    }

    #[tokio::test]
    async fn texts_that_are_read_are_few_in_all() {
        let parsing = Arc::new(Parsing::default());
        let begun = Arc::new(AtomicUsize::new(0));
        let long: Vec<_> = (0..ALL + 2)
            .map(|number| endless(&parsing, &format!("eva{number}"), &begun))
            .collect();
        await_begun(&begun, ALL).await;
        let pal = person("pal");
        let waiting = parsing.run(&pal, async { Ok(()) });
        assert!(timeout(Duration::from_millis(50), waiting).await.is_err());
        assert_eq!(begun.load(Ordering::SeqCst), ALL);
        for task in long {
            task.abort();
            drop(task.await);
        }
        let next = parsing.run(&pal, async { Ok(()) });
        assert!(timeout(LIMIT, next).await.expect("the permits are free").is_ok());
    }
}
