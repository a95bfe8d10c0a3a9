//! Answers that are computed while they are read, and clients that read slowly.

use std::ops::ControlFlow;

use ipblock_api::error::{ApiError, ErrorKind};

use super::*;
use crate::answers::{Array, Sink, answer};

/// More than the buffers between the two ends, in bytes.
const BUFFERED: usize = 2 << 20;
/// An element as JSON, with the comma.
const ELEMENT: usize = "\"0123456789\",".len();

/// How many elements of a list were computed, and whether that is finished.
#[derive(Default)]
struct Making {
    made: AtomicUsize,
    is_over: AtomicBool,
}

/// Routes to a list with this number of elements, and to one that fails after the same number.
fn lists(elements: usize, making: &Arc<Making>) -> Router {
    let whole = Arc::clone(making);
    let failing = Arc::clone(making);
    let list = move |making: Arc<Making>, fails: bool| {
        answer(making, move |making, _| {
            let making = Arc::clone(making);
            Ok(Array::new(move |sink: Sink<'_, &str>| {
                for _ in 0..elements {
                    if sink("0123456789") == ControlFlow::Break(()) {
                        break;
                    }
                    making.made.fetch_add(1, Ordering::SeqCst);
                }
                making.is_over.store(true, Ordering::SeqCst);
                let error = ApiError::new(ErrorKind::Failed, "the middle of it");
                if fails { Err(error) } else { Ok(()) }
            }))
        })
    };
    Router::new()
        .route("/list", get(async move || list(whole, false).await))
        .route("/failing", get(async move || list(failing, true).await))
}

fn served(bounds: Bounds, elements: usize) -> (Served, Arc<Making>) {
    let making: Arc<Making> = Arc::default();
    let served = Served::of((bounds, UNIX), PATIENCE, lists(elements, &making));
    (served, making)
}

fn ask_for(served: &Served, path: &str) -> Stream {
    let mut stream = served.connect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    stream
}

#[test]
fn a_list_is_made_no_faster_than_it_is_read() {
    let elements = 2_000_000;
    let (served, making) = served(Bounds::API, elements);
    let mut stream = ask_for(&served, "/list");
    let mut buffer = vec![0; 256 << 10];
    let mut read = 0;
    loop {
        let count = stream.read(&mut buffer).unwrap();
        read += count;
        let made = making.made.load(Ordering::SeqCst) * ELEMENT;
        assert!(made <= read + BUFFERED, "{made} made, {read} read");
        if count == 0 {
            break;
        }
    }
    assert!(read >= elements * ELEMENT);
    assert!(making.is_over.load(Ordering::SeqCst));
}

#[test]
fn a_client_that_reads_on_too_slowly_is_cut_off_and_the_making_ends() {
    let bounds = Bounds {
        answer: 5 * SHORT,
        ..Bounds::API
    };
    let (served, making) = served(bounds, usize::MAX);
    let mut stream = ask_for(&served, "/list");
    let mut byte = [0];
    eventually("the count", || {
        drop(stream.read(&mut byte));
        served.places.traffic().timed_out == 1
    });
    eventually("the end of the making", || {
        making.is_over.load(Ordering::SeqCst)
    });
    eventually("the place", || served.open() == 0);
    assert!(making.made.load(Ordering::SeqCst) * ELEMENT < 2 * BUFFERED);
}

#[test]
fn a_short_list_comes_in_one_piece_and_a_long_one_in_chunks() {
    let (served, _) = served(Bounds::API, 2);
    let answer = rest(ask_for(&served, "/list"));
    assert!(answer.contains("content-length: 27\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: application/json\r\n"),
        "{answer}"
    );
    assert!(
        answer.ends_with("\r\n\r\n[\"0123456789\",\"0123456789\"]"),
        "{answer}"
    );
    let (served, _) = self::served(Bounds::API, 10_000);
    let answer = rest(ask_for(&served, "/list"));
    assert!(answer.contains("transfer-encoding: chunked"));
    assert!(answer.ends_with("]\r\n0\r\n\r\n"));
}

#[test]
fn an_error_is_the_answer_before_its_first_part_and_cuts_the_body_after_it() {
    let (served, _) = served(Bounds::API, 2);
    let answer = rest(ask_for(&served, "/failing"));
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("the middle of it"), "{answer}");
    let (served, _) = self::served(Bounds::API, 10_000);
    let answer = rest(ask_for(&served, "/failing"));
    assert!(answer.starts_with("HTTP/1.1 200 "));
    assert!(!answer.ends_with("0\r\n\r\n"), "it looks whole");
}
