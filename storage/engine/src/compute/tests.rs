//! Statistics over small collections, compared with an interpreter that reads the same rows one by one.

mod absorbed;
mod bounds;
mod code_lists;
pub(crate) mod collection;
mod forms;
mod known_values;
mod random;
mod random_statistics;
mod reference;

use std::sync::OnceLock;

use concordat_protocol::scope::Scope;
use tokio::runtime::Runtime;

use super::{Work, budget::Division, outline, report, report::CellReport, scan::Reader, selections, shown};
use crate::{
    Bounds, QueryError,
    statistic::{KnownCollection, Statistic},
};
use collection::{Stored, World};

/// Waits for a future in a runtime that all tests have.
fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(work)
}

fn known(world: &World, scope: &Scope) -> KnownCollection {
    shown(&world.rules(), scope)
}

/// The report of a statistic with the default bounds.
fn reported(world: &World, stored: &Stored, scope: &Scope, statistic: &Statistic) -> Result<CellReport, QueryError> {
    wait(report(stored, &world.rules(), scope, statistic, &Bounds::default()))
}

/// The report with memory that is divided in another way.
fn divided(world: &World, stored: &Stored, scope: &Scope, statistic: &Statistic, are_bits: bool) -> CellReport {
    let known = known(world, scope);
    let (plan, sources) = selections::plan(statistic, &known, scope, stored).unwrap();
    let empty = outline(stored, &plan);
    let mut work = Work {
        collection: stored,
        scope,
        division: Division {
            are_bits,
            // So few that most subjects need a pass of their own.
            pairs: plan.grid(),
            tables: 1 << 20,
        },
        plan,
        sources,
        reader: Reader::new(stored, 1 << 20).unwrap(),
    };
    wait(work.report(empty)).unwrap()
}
