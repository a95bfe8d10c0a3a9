//! One sink never delays another, nor the code that offers alerts.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver as Held},
    },
    time::{Duration, Instant},
};

use ipblock_api::types::{SinkKind, SinkState};

use super::{
    super::{Batch, DeliveryError, Receiver, SinkPlan, Sinks},
    QUICK, alerts, counts, until,
};

/// Blocks until the other end of its channel is dropped, and reports that it does.
struct Hangs(Arc<Mutex<Held<()>>>, Arc<AtomicBool>);

impl Receiver for Hangs {
    fn batch(&self) -> usize {
        1
    }

    fn deliver(&mut self, _: &Batch) -> Result<(), DeliveryError> {
        self.1.store(true, Ordering::SeqCst);
        assert!(self.0.lock().unwrap().recv().is_err());
        Ok(())
    }
}

/// Keeps what it gets, and panics at one of them.
struct Panics(Arc<Mutex<Vec<u64>>>);

impl Receiver for Panics {
    fn batch(&self) -> usize {
        10
    }

    fn deliver(&mut self, batch: &Batch) -> Result<(), DeliveryError> {
        let ids: Vec<_> = batch.iter().map(|alert| alert.id).collect();
        assert!(!ids.contains(&3), "as this test wants it");
        self.0.lock().unwrap().extend(ids);
        Ok(())
    }
}

fn plan(
    name: &str,
    queue: usize,
    make: impl Fn() -> Box<dyn Receiver> + Send + 'static,
) -> SinkPlan {
    SinkPlan {
        name: name.to_owned(),
        kind: SinkKind::Webhook,
        queue,
        make: Box::new(make),
    }
}

#[test]
fn sinks_that_hang_panic_or_cannot_even_begin_leave_the_others_alone() {
    let (release, held) = mpsc::channel();
    let held = Arc::new(Mutex::new(held));
    let hangs = Arc::<AtomicBool>::default();
    let taken = Arc::<Mutex<Vec<u64>>>::default();
    let plans = [
        plan("hangs", 4, {
            let hangs = Arc::clone(&hangs);
            move || Box::new(Hangs(Arc::clone(&held), Arc::clone(&hangs)))
        }),
        plan("never", 4, || panic!("as this test wants it")),
        plan("panics", 100, {
            let taken = Arc::clone(&taken);
            move || Box::new(Panics(Arc::clone(&taken)))
        }),
    ];
    let sinks = Sinks::begin(plans, QUICK);
    let status = |index: usize| sinks.status().swap_remove(index);
    sinks.offer(&alerts(1..=2));
    until("one under way", || hangs.load(Ordering::SeqCst));
    until("the first two", || status(2).delivered == 2);
    sinks.offer(&alerts(3..=3));
    until("the one that panics", || status(2).lost == 1);
    assert_eq!(status(2).state, SinkState::Failing);
    assert!(status(2).detail.unwrap().starts_with("a defect"));
    sinks.offer(&alerts(4..=8));
    until("the last five", || status(2).delivered == 7);
    assert_eq!(*taken.lock().unwrap(), [1, 2, 4, 5, 6, 7, 8]);
    assert_eq!(counts(&status(2)), (7, 1, 0));
    assert_eq!((status(2).state, status(2).detail), (SinkState::Ok, None));

    until("the one that cannot begin", || status(1).lost == 8);
    assert_eq!(counts(&status(1)), (0, 8, 0));
    assert_eq!(status(1).state, SinkState::Failing);

    // One is in progress and four wait.
    assert_eq!(counts(&status(0)), (0, 3, 5));
    let start = Instant::now();
    sinks.stop(Duration::from_millis(50));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(counts(&status(0)), (0, 8, 0));
    // A delivery that ends after its alerts were discarded changes no count.
    drop(release);
    sinks.stop(Duration::from_millis(50));
    assert_eq!(counts(&status(0)), (0, 8, 0));
}
