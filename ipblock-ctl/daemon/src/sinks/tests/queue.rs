//! The queue alone: what it keeps, and that every alert is counted.

use super::{
    super::queue::{Batch, Queue},
    alerts,
};

fn ids(batch: &Batch) -> Vec<u64> {
    batch.iter().map(|alert| alert.id).collect()
}

fn counts(queue: &Queue) -> (u64, u64, u64) {
    let progress = queue.progress();
    (progress.delivered, progress.lost, progress.queued)
}

#[test]
fn alerts_come_out_in_their_order_however_they_were_offered() {
    let queue = Queue::new(100);
    queue.offer(&alerts(1..=3));
    queue.offer(&alerts(4..=4));
    queue.offer(&[].into());
    queue.offer(&alerts(5..=9));
    assert_eq!(ids(&queue.take(2).unwrap()), [1, 2]);
    queue.delivered();
    assert_eq!(ids(&queue.take(4).unwrap()), [3, 4, 5, 6]);
    queue.delivered();
    assert_eq!(ids(&queue.take(100).unwrap()), [7, 8, 9]);
    assert_eq!(counts(&queue), (6, 0, 3));
    queue.delivered();
    assert_eq!(counts(&queue), (9, 0, 0));
}

#[test]
fn a_full_queue_loses_its_oldest() {
    let queue = Queue::new(4);
    queue.offer(&alerts(1..=3));
    queue.offer(&alerts(4..=6));
    assert_eq!(counts(&queue), (0, 2, 4));
    queue.offer(&alerts(7..=20));
    assert_eq!(counts(&queue), (0, 16, 4));
    assert_eq!(ids(&queue.take(10).unwrap()), [17, 18, 19, 20]);
}

#[test]
fn a_batch_that_comes_back_is_the_oldest_again() {
    let queue = Queue::new(4);
    queue.offer(&alerts(1..=4));
    let batch = queue.take(3).unwrap();
    queue.offer(&alerts(5..=6));
    assert_eq!(counts(&queue), (0, 0, 6));
    assert!(queue.put_back(batch, "first".to_owned()).is_first);
    assert_eq!(counts(&queue), (0, 2, 4));
    let batch = queue.take(3).unwrap();
    assert_eq!(ids(&batch), [3, 4, 5]);
    assert!(!queue.put_back(batch, "second".to_owned()).is_first);
    assert_eq!(queue.progress().detail.as_deref(), Some("second"));
    assert_eq!(ids(&queue.take(3).unwrap()), [3, 4, 5]);
    assert!(queue.delivered());
    assert_eq!(queue.progress().detail, None);
    assert_eq!(counts(&queue), (3, 2, 1));
}

#[test]
fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
    let queue = Queue::new(4);
    queue.offer(&alerts(1..=2));
    queue.close();
    queue.offer(&alerts(3..=3));
    assert_eq!(counts(&queue), (0, 1, 2));
    assert_eq!(ids(&queue.take(9).unwrap()), [1, 2]);
    queue.delivered();
    assert!(queue.take(9).is_none());
    assert_eq!(counts(&queue), (2, 1, 0));
}

#[test]
fn what_comes_back_after_it_was_given_up_is_counted_once() {
    let queue = Queue::new(4);
    queue.offer(&alerts(1..=3));
    let batch = queue.take(2).unwrap();
    assert_eq!(queue.give_up(), 3);
    queue.put_back(batch, "late".to_owned());
    assert_eq!(counts(&queue), (0, 3, 0));
    assert!(queue.take(1).is_none());
    assert_eq!(queue.give_up(), 0);
}
