//! How many connections the socket has, in all and of each account of the operating system.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open connections; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    all: usize,
    per_account: usize,
    open: Arc<Mutex<Open>>,
}

/// The number of connections of each user id; those of which the kernel does not report one are together.
type Open = BTreeMap<Option<u32>, usize>;

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    uid: Option<u32>,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    /// At most `all` connections, half of them of one account: processes of one account cannot keep out those of another one, such as the
    /// administrator of the machine.
    pub(super) fn new(all: usize) -> Self {
        let all = all.max(1);
        Self {
            all,
            per_account: all.div_ceil(2),
            open: Arc::default(),
        }
    }

    /// Counts another connection of the account `uid`; `None` if it would be one too many.
    pub(super) fn admit(&self, uid: Option<u32>) -> Option<ConnectionSlot> {
        let mut open = locked(&self.open);
        let own = open.get(&uid).copied().unwrap_or_default();
        if own >= self.per_account || open.values().sum::<usize>() >= self.all {
            return None;
        }
        open.insert(uid, own.saturating_add(1));
        Some(ConnectionSlot {
            uid,
            open: Arc::clone(&self.open),
        })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = locked(&self.open);
        let left = open.get(&self.uid).map_or(0, |own| own.saturating_sub(1));
        // Accounts without a connection need no entry, so that the list stays short.
        if left == 0 {
            open.remove(&self.uid);
        } else {
            open.insert(self.uid, left);
        }
    }
}

fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(connections: &Connections, uid: Option<u32>, attempts: usize) -> Vec<ConnectionSlot> {
        (0..attempts).filter_map(|_| connections.admit(uid)).collect()
    }

    #[test]
    fn connections_of_one_account_leave_half_to_others() {
        let connections = Connections::new(8);
        let mut first = open(&connections, Some(1000), 20);
        assert_eq!(first.len(), 4);
        let second = open(&connections, Some(0), 3);
        assert_eq!(second.len(), 3);
        // One is left in all, of any account.
        let unknown = open(&connections, None, 20);
        assert_eq!(unknown.len(), 1);
        assert!(connections.admit(Some(0)).is_none() && connections.admit(Some(7)).is_none());
        first.pop();
        assert!(connections.admit(Some(7)).is_some());
        drop((first, second, unknown));
        assert!(locked(&connections.open).is_empty());
    }

    #[test]
    fn connections_are_at_least_one() {
        assert_eq!(open(&Connections::new(0), Some(0), 3).len(), 1);
        assert_eq!(open(&Connections::new(1), Some(0), 3).len(), 1);
        assert_eq!(open(&Connections::new(3), Some(0), 3).len(), 2);
    }
}
