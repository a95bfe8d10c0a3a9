//! Peers of every kind with a few routes, over a real socket.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream as Stream,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    middleware,
    routing::{get, post},
};
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream},
    runtime::Runtime,
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::timeout,
};

mod flood;
mod lookups;
mod slow_answers;

use super::*;
use crate::{
    bodies,
    documented::{limit, size},
    principal::{Origin, Principal},
    transport::{
        Identity, Transport,
        unix::{Listed, UnixSocket},
    },
};

/// Longer than on any machine; a test that waits for this time fails.
const PATIENCE: Duration = Duration::from_mins(2);
/// Short, for waits that a test causes on purpose.
const SHORT: Duration = Duration::from_millis(100);
/// More than the buffers between the two ends.
const MUCH: usize = 16 << 20;

/// The state of `GET /slow`.
#[derive(Default)]
struct Slow {
    begun: AtomicBool,
    go_on: Notify,
}

/// How peers are identified.
#[derive(Clone, Copy)]
struct Identified {
    identify: fn(&UnixSocket, &UnixStream) -> Identity,
    look_up: fn(u32) -> Listed,
}

/// As in the daemon.
const UNIX: Identified = Identified {
    identify: UnixSocket::identify,
    look_up: Listed::look_up,
};

/// The unix socket, with the test's own rule for users that are known at once.
struct Staged {
    socket: UnixSocket,
    identify: fn(&UnixSocket, &UnixStream) -> Identity,
}

impl Transport for Staged {
    type Io = UnixStream;

    const NAME: &'static str = "socket of a test";

    async fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().await
    }

    fn identify(&self, stream: &UnixStream) -> Identity {
        (self.identify)(&self.socket, stream)
    }

    fn look_up(
        &self,
        stream: UnixStream,
    ) -> impl Future<Output = Option<(UnixStream, Principal)>> + Send + 'static {
        self.socket.look_up(stream)
    }
}

struct Served {
    runtime: Runtime,
    directory: TempDir,
    places: Arc<Places>,
    slow: Arc<Slow>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Served {
    fn at(bounds: Bounds, body_time: Duration) -> Self {
        Self::of((bounds, UNIX), body_time, Router::new())
    }

    fn identified(by: Identified) -> Self {
        Self::of((Bounds::API, by), PATIENCE, Router::new())
    }

    fn of((bounds, by): (Bounds, Identified), body_time: Duration, more: Router) -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let places: Arc<Places> = Arc::default();
        let slow: Arc<Slow> = Arc::default();
        let called = Arc::clone(&slow);
        let bodies = bodies::Bodies::with_time(body_time);
        let routes = more
            .route("/", get(async || "here"))
            .route("/much", get(async || "x".repeat(MUCH)))
            .route("/slow", get(async move || wait_for(called).await))
            .route("/", post(async |body: Bytes| body.len().to_string()))
            .layer(middleware::from_fn_with_state(bodies, bodies::whole));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = {
            let _guard = runtime.enter();
            let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
            let places = Arc::clone(&places);
            let socket = Staged {
                socket: UnixSocket::with_users(listener, by.look_up),
                identify: by.identify,
            };
            runtime.spawn(serve(socket, bounds, routes, places, stopped))
        };
        Self {
            runtime,
            directory,
            places,
            slow,
            stop: Some(stop),
            server: Some(server),
        }
    }

    fn usual() -> Self {
        Self::at(Bounds::API, PATIENCE)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn connect(&self) -> Stream {
        let stream = Stream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Returns the output of the daemon until it closes, after one write.
    fn answer(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        rest(stream)
    }

    fn wait_until_slow_has_begun(&self) {
        eventually("GET /slow", || self.slow.begun.load(Ordering::SeqCst));
    }

    fn open(&self) -> usize {
        let ranks = self.places.traffic().ranks;
        ranks.iter().map(|(_, tally)| tally.open).sum()
    }
}

/// Works on a blocking thread and keeps the connection's place, like `answers::run_blocking`.
async fn wait_for(slow: Arc<Slow>) -> &'static str {
    let ticket = ticket();
    let work = tokio::spawn(async move {
        slow.begun.store(true, Ordering::SeqCst);
        slow.go_on.notified().await;
        drop(ticket);
    });
    work.await.unwrap();
    "done"
}

fn rest(mut stream: Stream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_limits_of_connections_and_answers_are_documented() {
    let bounds = Bounds::API;
    let places = |rank: Rank| rank.bounds();
    let (root, _) = places(Rank::Root);
    let (members, of_member) = places(Rank::Member);
    let (viewers, of_viewer) = places(Rank::Viewer);
    let (strangers, of_stranger) = places(Rank::Stranger);
    let (unknown, of_unknown) = places(Rank::Unknown);
    assert_eq!(
        limit("connections"),
        format!(
            "root {root}; members of `ipblock` {members}, {of_member} of one user; members of \
             `ipblock-view` {viewers}, {of_viewer} of one user; everybody else {strangers}, \
             {of_stranger} of one user; users (not root) that are being looked up {unknown}, \
             {of_unknown} of one user. One more is answered with 503 and closed; of many at once \
             most are closed without an answer"
        )
    );
    assert_eq!(
        limit("a request's head"),
        format!(
            "{}, and {} s to arrive; a connection without a request is closed after {} s too",
            size(bounds.head_bytes),
            bounds.head.as_secs(),
            bounds.head.as_secs()
        )
    );
    assert_eq!(
        limit("an answer"),
        format!(
            "closed when nothing of it is read for {} s, and when it is not read to its end in {} \
             minutes (a backup: {} minutes)",
            bounds.stall.as_secs(),
            bounds.answer.as_secs() / 60,
            bodies::BACKUP_TIME.as_secs() / 60
        )
    );
}

#[test]
fn requests_in_a_row_are_answered_in_a_row() {
    let served = Served::usual();
    let one = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = served.answer(&format!("{one}{one}{last}"));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[test]
fn what_is_no_http_is_refused_and_counted() {
    let served = Served::usual();
    let answer = served.answer("\u{1}\u{2}\u{3} what is this\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    eventually("the count", || served.places.traffic().malformed == 1);
    assert_eq!(served.places.traffic().timed_out, 0);
}

#[test]
fn a_head_that_never_ends_is_cut_off_by_its_size() {
    let served = Served::usual();
    let mut stream = served.connect();
    write!(stream, "GET / HTTP/1.1\r\nhost: x\r\n").unwrap();
    let line = format!("x-more: {}\r\n", "y".repeat(1 << 10));
    // Until the daemon accepts no more.
    let mut sent = 0;
    while stream.write_all(line.as_bytes()).is_ok() {
        sent += line.len();
        assert!(sent < 4 << 20);
    }
    eventually("the place", || served.open() == 0);
    assert_eq!(served.places.traffic().malformed, 1);
}

#[test]
fn who_says_too_little_too_slowly_is_cut_off() {
    let bounds = Bounds {
        head: SHORT,
        ..Bounds::API
    };
    let served = Served::at(bounds, PATIENCE);
    let silent = served.connect();
    let mut half = served.connect();
    write!(half, "GET / HTTP/1.1\r\nhost:").unwrap();
    let mut idle = served.connect();
    write!(idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(rest(silent), "");
    drop(rest(half));
    assert!(rest(idle).ends_with("here"));
    eventually("the count", || served.places.traffic().timed_out == 3);
    assert_eq!(served.open(), 0);
}

#[test]
fn a_body_that_trickles_is_cut_off() {
    let served = Served::at(Bounds::API, SHORT);
    let answer = served.answer("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc");
    assert!(answer.contains("did not arrive within 0 s"), "{answer}");
    assert_eq!(served.places.traffic().timed_out, 1);
}

#[test]
fn a_body_that_claims_too_much_is_refused_before_it_comes() {
    let served = Served::usual();
    let answer = served.answer("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10737418240\r\n\r\n");
    assert!(answer.contains("larger than"), "{answer}");
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
}

#[test]
fn a_body_that_tells_no_size_ends_at_the_limit() {
    let served = Served::usual();
    let mut stream = served.connect();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let chunk = format!("100000\r\n{}\r\n", "y".repeat(1 << 20));
    let mut sent = 0;
    while stream.write_all(chunk.as_bytes()).is_ok() {
        sent += 1;
        assert!(sent < 100, "MiB");
    }
    assert!(rest(stream).contains("larger than"));
}

#[test]
fn who_does_not_read_the_answer_is_cut_off() {
    let bounds = Bounds {
        stall: SHORT,
        ..Bounds::API
    };
    let served = Served::at(bounds, PATIENCE);
    let mut stream = served.connect();
    write!(stream, "GET /much HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    eventually("the count", || served.places.traffic().timed_out == 1);
    assert_eq!(served.open(), 0);
    assert!(rest(stream).len() < MUCH);
}

#[test]
fn a_connection_that_lasts_too_long_is_cut_off() {
    let bounds = Bounds {
        whole: Some(SHORT),
        ..Bounds::API
    };
    let served = Served::at(bounds, PATIENCE);
    assert_eq!(rest(served.connect()), "");
    eventually("the count", || served.places.traffic().timed_out == 1);
    assert_eq!(served.open(), 0);
}

#[test]
fn a_connection_beyond_the_bound_waits_until_another_ends() {
    let bounds = Bounds {
        at_once: 1,
        ..Bounds::API
    };
    let served = Served::at(bounds, PATIENCE);
    let first = served.connect();
    eventually("the first", || served.open() == 1);
    let mut second = served.connect();
    write!(
        second,
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    second.set_read_timeout(Some(SHORT)).unwrap();
    assert!(second.read(&mut [0]).is_err(), "an answer");
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(first);
    assert!(rest(second).ends_with("here"));
}

#[test]
fn work_holds_the_place_of_a_client_that_has_left() {
    let served = Served::usual();
    let mut stream = served.connect();
    write!(stream, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    served.wait_until_slow_has_begun();
    drop(stream);
    for _ in 0..20 {
        assert_eq!(served.open(), 1);
        std::thread::sleep(Duration::from_millis(1));
    }
    served.slow.go_on.notify_one();
    eventually("the place", || served.open() == 0);
}

#[test]
fn who_finds_no_place_is_told_so() {
    let served = Served::usual();
    let uid = nix::unistd::geteuid().as_raw();
    // Root if the tests run as root.
    let rank = if uid == 0 { Rank::Root } else { Rank::Stranger };
    let held: Vec<_> =
        std::iter::from_fn(|| served.places.take(rank, Origin::Unix { uid }).ok()).collect();
    let answer = served.answer("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("as many as may be"), "{answer}");
    drop(held);
    let answer = served.answer("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.ends_with("here"), "{answer}");
}

#[test]
fn what_is_under_way_is_answered_before_the_server_ends() {
    let mut served = Served::usual();
    let mut stream = served.connect();
    write!(stream, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    served.wait_until_slow_has_begun();
    drop(served.stop.take());
    eventually("the socket to close", || {
        Stream::connect(served.path()).is_err()
    });
    served.slow.go_on.notify_one();
    assert!(rest(stream).ends_with("done"));
    let end = served.server.take().unwrap();
    let ended = async { timeout(PATIENCE, end).await.unwrap() };
    served.runtime.block_on(ended).unwrap();
}
