//! The webhook with servers that are slow, fail, refuse, hang up and recover.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use ipblock_api::types::SinkState;

use super::{
    NEVER, QUICK, Sinks, alerts, counts, one,
    server::{Answer, OK, Server},
    sink, until, until_counts,
};
use crate::{
    settings::{SinkConfig, SinkTarget},
    sinks::{SinkPlan, Timing},
};

/// Longer than the answer of a loaded machine, shorter than a test may last.
const TIMEOUT: Duration = Duration::from_secs(50);

fn webhook(url: String, queue: usize, timeout: Duration, batch: usize) -> SinkConfig {
    let headers = vec![("Authorization".to_owned(), "Bearer SECRET".to_owned())];
    sink(
        "hook",
        queue,
        SinkTarget::Webhook {
            url,
            headers,
            timeout,
            batch,
        },
    )
}

fn start(config: &SinkConfig, timing: Timing) -> Sinks {
    Sinks::begin([SinkPlan::from(config)], timing)
}

fn to(server: &Server) -> Sinks {
    start(&webhook(server.url(), 100, TIMEOUT, 10), QUICK)
}

#[test]
fn alerts_are_posted_as_a_json_array_with_the_headers_of_the_configuration() {
    let server = Server::start(&[OK]);
    let sinks = to(&server);
    let sent = alerts(1..=3);
    sinks.offer(&sent);
    until_counts(&sinks, (3, 0, 0));
    let [request] = server.requests().try_into().unwrap();
    assert_eq!(request.alerts, *sent);
    assert_eq!(
        request.head.first().unwrap(),
        "post /hook?key=secret http/1.1"
    );
    for line in [
        "content-type: application/json",
        "authorization: bearer secret",
        concat!("user-agent: ipblock/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(request.head.iter().any(|one| one == line), "{request:?}");
    }
    assert_eq!(one(&sinks).state, SinkState::Ok);
}

#[test]
fn what_waits_meanwhile_goes_in_one_request_up_to_the_batch_size() {
    let server = Server::start(&[Answer::Held, OK]);
    let sinks = to(&server);
    sinks.offer(&alerts(1..=1));
    until("the first request", || !server.requests().is_empty());
    for id in 2..=16 {
        sinks.offer(&alerts(id..=id));
    }
    server.release();
    until_counts(&sinks, (16, 0, 0));
    let expected: [Vec<u64>; 3] = [vec![1], (2..=11).collect(), (12..=16).collect()];
    assert_eq!(server.ids(), expected);
}

#[test]
fn a_receiver_that_fails_gets_the_same_alerts_again_until_it_takes_them() {
    let server = Server::start(&[
        Answer::Status(500, ""),
        Answer::Status(429, "retry-after: 1\r\n"),
        Answer::Status(408, ""),
        OK,
    ]);
    let sinks = to(&server);
    sinks.offer(&alerts(1..=2));
    until_counts(&sinks, (2, 0, 0));
    assert_eq!(server.ids(), vec![vec![1, 2]; 4]);
    let status = one(&sinks);
    assert_eq!((status.state, status.detail), (SinkState::Ok, None));
}

#[test]
fn a_failing_receiver_is_named_without_secrets() {
    for (answer, told) in [
        (Answer::Status(503, ""), "answered 503"),
        (
            Answer::Status(302, "location: http://192.0.2.1/SECRET\r\n"),
            "answered 302: redirects are not followed; write the url that they lead to",
        ),
        (Answer::Nonsense, "its answer is no HTTP"),
    ] {
        let server = Server::start(Vec::leak(vec![answer]));
        let sinks = start(&webhook(server.url(), 100, TIMEOUT, 10), NEVER);
        sinks.offer(&alerts(1..=2));
        until("a failure", || one(&sinks).state == SinkState::Failing);
        let status = one(&sinks);
        let detail = format!("http://{}: {told}", server.address);
        assert_eq!(status.detail.as_deref(), Some(detail.as_str()));
        assert_eq!(counts(&status), (0, 0, 2));
        assert_eq!(server.ids(), [[1, 2]]);
    }
}

#[test]
fn a_refused_batch_is_lost_and_the_next_one_is_tried() {
    let server = Server::start(&[Answer::Status(400, ""), OK]);
    let sinks = start(&webhook(server.url(), 100, TIMEOUT, 2), NEVER);
    sinks.offer(&alerts(1..=2));
    until_counts(&sinks, (0, 2, 0));
    let status = one(&sinks);
    assert_eq!(status.state, SinkState::Failing);
    let detail = format!("http://{}: answered 400", server.address);
    assert_eq!(status.detail, Some(detail));
    sinks.offer(&alerts(3..=4));
    until_counts(&sinks, (2, 2, 0));
    assert_eq!(server.ids(), [[1, 2], [3, 4]]);
    assert_eq!(one(&sinks).state, SinkState::Ok);
}

#[test]
fn alerts_whose_answer_is_cut_short_come_twice_and_count_once() {
    let server = Server::start(&[Answer::Half, OK]);
    let sinks = to(&server);
    sinks.offer(&alerts(1..=2));
    until_counts(&sinks, (2, 0, 0));
    assert_eq!(server.ids(), [[1, 2], [1, 2]]);
}

#[test]
fn a_good_status_is_enough_whatever_becomes_of_the_rest() {
    let server = Server::start(&[Answer::HalfBody]);
    let sinks = start(&webhook(server.url(), 100, TIMEOUT, 10), NEVER);
    sinks.offer(&alerts(1..=2));
    until_counts(&sinks, (2, 0, 0));
    assert_eq!(server.ids(), [[1, 2]]);
}

#[test]
fn a_receiver_that_hangs_is_given_up_after_the_timeout_and_tried_again() {
    let server = Server::start(&[Answer::Hang, OK]);
    // On a loaded machine the second request may take longer than that: then there is a third.
    let config = webhook(server.url(), 100, Duration::from_millis(500), 10);
    let sinks = start(&config, QUICK);
    sinks.offer(&alerts(1..=2));
    until_counts(&sinks, (2, 0, 0));
    assert!(server.requests().len() >= 2);
    assert!(server.ids().iter().all(|ids| *ids == [1, 2]));
}

#[test]
fn while_nobody_listens_the_newest_are_kept_and_delivered_when_somebody_does() {
    // No other test listens at this address or connects from it.
    let nobody = TcpListener::bind("127.0.0.77:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let url = format!("http://{address}/");
    let sinks = start(&webhook(url, 5, TIMEOUT, 10), QUICK);
    sinks.offer(&alerts(1..=3));
    until("a failure", || one(&sinks).state == SinkState::Failing);
    let detail = one(&sinks).detail.unwrap();
    assert!(
        detail.starts_with(&format!("http://{address}: ")),
        "{detail}"
    );
    sinks.offer(&alerts(4..=7));
    // A batch in progress returns to the queue before that is measured again.
    until_counts(&sinks, (0, 2, 5));
    let server = Server::at(address, &[OK]);
    until_counts(&sinks, (5, 2, 0));
    assert_eq!(server.ids(), [[3, 4, 5, 6, 7]]);
    assert_eq!(one(&sinks).state, SinkState::Ok);
}

#[test]
fn a_stop_delivers_what_waits() {
    let server = Server::start(&[Answer::Slow, OK]);
    let sinks = to(&server);
    sinks.offer(&alerts(1..=1));
    until("the first request", || !server.requests().is_empty());
    sinks.offer(&alerts(2..=3));
    sinks.stop(Duration::from_secs(50));
    assert_eq!(counts(&one(&sinks)), (3, 0, 0));
    assert_eq!(server.ids(), [vec![1], vec![2, 3]]);
    sinks.offer(&alerts(4..=4));
    assert_eq!(counts(&one(&sinks)), (3, 1, 0));
}

#[test]
fn a_stop_does_not_wait_for_a_receiver_that_hangs() {
    let server = Server::start(&[Answer::Hang]);
    let sinks = start(
        &webhook(server.url(), 100, Duration::from_hours(1), 1),
        QUICK,
    );
    sinks.offer(&alerts(1..=3));
    until("the request", || !server.requests().is_empty());
    let start = Instant::now();
    sinks.stop(Duration::from_millis(100));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(counts(&one(&sinks)), (0, 3, 0));
}

#[test]
fn a_stop_tries_a_failing_receiver_once_more_and_no_longer() {
    let server = Server::start(&[Answer::Status(500, "")]);
    let sinks = start(&webhook(server.url(), 100, TIMEOUT, 10), NEVER);
    sinks.offer(&alerts(1..=3));
    until("a failure", || one(&sinks).state == SinkState::Failing);
    let start = Instant::now();
    sinks.stop(Duration::from_hours(1));
    assert!(start.elapsed() < Duration::from_secs(40));
    assert_eq!(counts(&one(&sinks)), (0, 3, 0));
    assert_eq!(server.ids(), [[1, 2, 3], [1, 2, 3]]);
}
