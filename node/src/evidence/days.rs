//! The queries of each day, so that their records are found when their retention has ended.
//!
//! 1. A day has lists, into which its queries are divided by their ids. A list has pages.
//! 2. A query is added to the newest page of its list, in the transaction that stores its record. A full page is not written again, so what is written
//!    for a query does not grow with the queries of the day.
//! 3. The pages of a list have numbers without a gap: all of them are removed in one transaction. The first one has the name that the whole list had
//!    in earlier versions, whose lists are one page of any size.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat_protocol::ids::QueryId;
use concordat_storage::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

/// Number of lists of a day, so that queries of different lists do not wait for each other.
pub(super) const LISTS: u8 = 64;
/// Queries on a page: a quarter of a kilobyte.
pub(super) const PAGE: usize = 16;

/// The tree of pages.
#[derive(Debug)]
pub(super) struct Days {
    pages: SealedTree<BTreeSet<QueryId>>,
    /// The page of each list to which the next query is added, if it is known; that of the day of the query before.
    newest: Mutex<BTreeMap<u8, Page>>,
}

/// The newest page of a list.
#[derive(Debug)]
pub(super) struct Page {
    day: i64,
    list: u8,
    number: u32,
    queries: BTreeSet<QueryId>,
}

/// All queries of one list of a day.
#[derive(Debug)]
pub(super) struct DayList {
    day: i64,
    pub(super) list: u8,
    pages: u32,
    pub(super) queries: BTreeSet<QueryId>,
}

impl Days {
    /// Opens the pages in `db`.
    pub(super) fn open(db: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            pages: db.tree(TreeId::new("evidence-days"))?,
            newest: Mutex::default(),
        })
    }

    /// The newest page of a list of a day, with these queries added. The list must be locked until the page is stored, or given up.
    pub(super) fn page_with(
        &self,
        (day, list): (i64, u8),
        queries: impl IntoIterator<Item = QueryId>,
    ) -> Result<Page, MetaError> {
        // It is known again once the page is in the state: after an error it is read.
        let known = self.newest().remove(&list).filter(|page| page.day == day);
        let mut page = match known {
            Some(page) => page,
            None => self.read_newest(day, list)?,
        };
        page.queries.extend(queries);
        Ok(page)
    }

    /// Adds a page to a change.
    pub(super) fn put(&self, batch: &mut Batch, page: &Page) -> Result<(), MetaError> {
        batch.put(&self.pages, &name(page.day, page.list, page.number), &page.queries)?;
        Ok(())
    }

    /// Notes that the change with this page was made.
    pub(super) fn applied(&self, page: Page) {
        self.newest().insert(page.list, page.or_next());
    }

    /// The queries of a list of a day; `None` if there are none.
    pub(super) fn list(&self, day: i64, list: u8) -> Result<Option<DayList>, MetaError> {
        let mut all = DayList {
            day,
            list,
            pages: 0,
            queries: BTreeSet::new(),
        };
        while let Some(page) = self.pages.get(&name(day, list, all.pages))? {
            all.queries.extend(page);
            all.pages = all.pages.saturating_add(1);
        }
        Ok((all.pages > 0).then_some(all))
    }

    /// Removes all pages of a list, as part of a change.
    pub(super) fn remove(&self, batch: &mut Batch, list: &DayList) {
        for number in 0..list.pages {
            batch.remove(&self.pages, &name(list.day, list.list, number));
        }
    }

    fn read_newest(&self, day: i64, list: u8) -> Result<Page, MetaError> {
        let mut newest = Page::new(day, list, 0);
        while let Some(queries) = self.pages.get(&name(day, list, newest.number))? {
            newest = Page { queries, ..newest };
            if !newest.is_full() {
                break;
            }
            newest = newest.or_next();
        }
        Ok(newest)
    }

    fn newest(&self) -> MutexGuard<'_, BTreeMap<u8, Page>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    fn new(day: i64, list: u8, number: u32) -> Self {
        Self {
            day,
            list,
            number,
            queries: BTreeSet::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.queries.len() >= PAGE
    }

    /// This page, or the one after it if it is full.
    fn or_next(self) -> Self {
        if self.is_full() {
            Self::new(self.day, self.list, self.number.saturating_add(1))
        } else {
            self
        }
    }
}

/// The list of a query.
pub(super) fn list_of(query: QueryId) -> u8 {
    let first = query.as_bytes().first().copied().unwrap_or_default();
    first % LISTS
}

fn name(day: i64, list: u8, page: u32) -> String {
    match page {
        0 => format!("{day}/{list}"),
        page => format!("{day}/{list}/{page}"),
    }
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};

    use super::*;

    fn state() -> (tempfile::TempDir, SealedDb) {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.path().join("meta"), master.state()).unwrap();
        (dir, db)
    }

    /// All of one list.
    fn query(number: u8) -> QueryId {
        let mut id = [0; 16];
        id[15] = number;
        QueryId::from_bytes(id)
    }

    fn add(days: &Days, db: &SealedDb, day: i64, query: QueryId) {
        let page = days.page_with((day, list_of(query)), [query]).unwrap();
        let mut batch = Batch::new();
        days.put(&mut batch, &page).unwrap();
        db.commit(batch).unwrap();
        days.applied(page);
    }

    fn listed(days: &Days, day: i64) -> Vec<QueryId> {
        let list = days.list(day, 0).unwrap();
        list.map_or_else(Vec::new, |list| list.queries.into_iter().collect())
    }

    #[test]
    fn evidence_of_a_day_is_listed_on_pages_of_a_bounded_size() {
        let (_dir, db) = state();
        let mut days = Days::open(&db).unwrap();
        for number in 0..100 {
            if number % 7 == 0 {
                // As after a start.
                days = Days::open(&db).unwrap();
            }
            // The day before comes in between.
            add(&days, &db, i64::from(number % 5 / 4), query(number));
        }
        let expected = |day: u8| (0..100).filter(move |number| number % 5 / 4 == day).map(query);
        assert_eq!(listed(&days, 0), expected(0).collect::<Vec<_>>());
        assert_eq!(listed(&days, 1), expected(1).collect::<Vec<_>>());
        for day in [0, 1] {
            let list = days.list(day, 0).unwrap().unwrap();
            assert_eq!(usize::try_from(list.pages).unwrap(), list.queries.len().div_ceil(PAGE));
            for page in 0..list.pages {
                assert!(days.pages.get(&name(day, 0, page)).unwrap().unwrap().len() <= PAGE);
            }
        }
        let mut batch = Batch::new();
        days.remove(&mut batch, &days.list(0, 0).unwrap().unwrap());
        db.commit(batch).unwrap();
        assert_eq!(days.pages.iter().unwrap().count(), 2, "those of the other day are left");
    }

    /// A page whose change was not made is not taken for one that is there.
    #[test]
    fn evidence_page_that_was_not_stored_is_read_again() {
        let (_dir, db) = state();
        let days = Days::open(&db).unwrap();
        add(&days, &db, 0, query(1));
        drop(days.page_with((0, 0), [query(2)]).unwrap());
        add(&days, &db, 0, query(3));
        assert_eq!(listed(&days, 0), [query(1), query(3)]);
    }

    #[test]
    fn evidence_list_of_an_earlier_version_is_continued() {
        let (_dir, db) = state();
        let days = Days::open(&db).unwrap();
        let earlier: BTreeSet<QueryId> = (0..50).map(query).collect();
        days.pages.put("0/0", &earlier).unwrap();
        add(&days, &db, 0, query(50));
        assert_eq!(days.pages.get("0/0").unwrap(), Some(earlier));
        assert_eq!(listed(&days, 0), (0..51).map(query).collect::<Vec<_>>());
    }
}
