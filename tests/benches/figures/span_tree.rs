//! Where the time of queries goes: the spans of the nodes, added up by their place in the tree of spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Subscriber;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Time and number of spans, by the names of a span and of those that it is in.
type Times = BTreeMap<Vec<&'static str>, (Duration, u32)>;

/// Adds up what spans take while [`record`] runs.
#[derive(Clone, Default)]
struct SpanTimes(Arc<Mutex<Times>>);

struct Begun(Instant);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanTimes {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Begun(Instant::now()));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let path: Vec<&'static str> = span.scope().from_root().map(|of| of.name()).collect();
        let Some(took) = span.extensions().get::<Begun>().map(|begun| begun.0.elapsed()) else {
            return;
        };
        let mut times = self.0.lock().unwrap();
        let (sum, count) = times.entry(path).or_default();
        *sum += took;
        *count += 1;
    }
}

/// Runs `queries` queries and prints the tree: a span's time for each query, and how often it occurs in one.
pub(crate) async fn print(queries: u32, work: impl Future<Output = ()>) {
    let times = SpanTimes::default();
    tracing::subscriber::set_global_default(Registry::default().with(times.clone())).unwrap();
    work.await;
    for (path, (sum, count)) in times.0.lock().unwrap().iter() {
        let Some(name) = path.last() else { continue };
        let millis = sum.as_secs_f64() * 1000.0 / f64::from(queries);
        let each = f64::from(*count) / f64::from(queries);
        println!(
            "{:indent$}{name} {millis:.2} ms, {each:.1} times",
            "",
            indent = 2 * (path.len() - 1)
        );
    }
}
