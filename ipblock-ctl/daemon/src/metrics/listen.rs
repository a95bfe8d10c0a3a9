//! `GET /metrics` over TCP, for clients that cannot reach the unix socket.
//!
//! There is no authorisation here: every client that reaches the address can read the page, and do
//! nothing else. The cost is limited: a maximum of connections, one request each, and one page at a
//! time.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use ipblock_api::{error::ApiError, routes::Route};
use ipblock_policy::{Diagnostic, Hinted as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tracing::{info, warn};

use super::FORMAT;
use crate::{
    connections::{self, Bounds, Places, Rank},
    principal::{Origin, Principal},
    transport::{Identity, Transport},
};

/// The limits of a connection. More connections wait in the kernel's queue.
const BOUNDS: Bounds = Bounds {
    at_once: Rank::Scraper.bounds().0,
    // An idle connection would occupy the place of another scraper.
    keep_alive: false,
    // The minimum of hyper.
    head_bytes: 8 << 10,
    head: Duration::from_secs(5),
    stall: WHOLE_TIME,
    answer: WHOLE_TIME,
    whole: Some(WHOLE_TIME),
};
/// Maximum duration of a connection, however slowly it reads.
const WHOLE_TIME: Duration = Duration::from_secs(30);

const INDEX: &str = "ipblockd: see /metrics\n";
const NOT_FOUND: &str = "not found: GET /metrics is all there is\n";

/// Builds the page.
pub(crate) type Page = Arc<dyn Fn() -> Result<String, ApiError> + Send + Sync>;

/// The state that connections share.
struct Pages {
    make: Page,
    /// Locked while a page is built, so that many simultaneous scrapes use at most one core.
    one: Arc<Mutex<()>>,
}

/// The address; every client that reaches it is a scraper.
pub(crate) struct Scrapes(TcpListener);

impl Scrapes {
    /// Binds the address, and logs a warning if other hosts can reach it.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        info!(%address, "metrics are served");
        if !address.ip().to_canonical().is_loopback() {
            warn!(
                %address,
                "metrics are on no loopback address: everyone who reaches it can read counters and \
                 the names of rules, zones and interfaces"
            );
        }
        Ok(Self(listener))
    }
}

impl Transport for Scrapes {
    type Io = TcpStream;

    const NAME: &'static str = "metrics";

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.0.accept().await?;
        Ok(stream)
    }

    fn identify(&self, _stream: &TcpStream) -> Identity {
        Identity::Known(Principal::without_rights(Origin::Scrape))
    }
}

/// Explains why the address cannot be bound, and what to do.
pub(crate) fn unavailable(address: SocketAddr, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there: write another port as `listen` of [metrics], and restart \
             ipblockd"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface has this address now: it is taken as soon as one has"
        }
        _ => "write another address as `listen` of [metrics], and restart ipblockd",
    };
    let message = format!("metrics at {address} are not served: {error}");
    Diagnostic::new(message).with_hint(hint).in_one_line()
}

/// Answers until it is dropped, which also closes every open connection.
pub(crate) async fn serve(listener: Scrapes, make: Page) {
    let pages = Arc::new(Pages {
        make,
        one: Arc::default(),
    });
    let routes = Router::new().fallback(async move |request: Request| {
        match (request.method(), request.uri().path()) {
            (&Method::GET, path) if path == Route::Metrics.path() => pages.page().await,
            (&Method::GET, "/") => text(StatusCode::OK, INDEX.to_owned()),
            _ => text(StatusCode::NOT_FOUND, NOT_FOUND.to_owned()),
        }
    });
    // Not the places of the API, because metrics count the connections to the unix socket.
    let places: Arc<Places> = Arc::default();
    connections::serve(listener, BOUNDS, routes, places, pending::<()>()).await;
}

impl Pages {
    async fn page(&self) -> Response {
        let make = Arc::clone(&self.make);
        let turn = Arc::clone(&self.one).lock_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            // Here, so that it ends with the work even if the client has left.
            let _turn = turn;
            make()
        });
        let problem = match work.await {
            Ok(Ok(page)) => return text(StatusCode::OK, page),
            Ok(Err(error)) => error.message,
            Err(panic) => panic.to_string(),
        };
        warn!(error = problem, "metrics could not be read");
        // Not the error itself: it may contain paths, and anyone may send this request.
        text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics could not be read; the log of ipblockd says why\n".to_owned(),
        )
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, FORMAT)], body).into_response()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use ipblock_api::error::ErrorKind;
    use tokio::{runtime::Runtime, task::JoinHandle};

    use super::*;

    /// Longer than on any machine; a test that waits for this time fails.
    const PATIENCE: Duration = Duration::from_mins(2);

    struct Served {
        runtime: Runtime,
        address: SocketAddr,
        task: JoinHandle<()>,
    }

    fn served(make: impl Fn() -> Result<String, ApiError> + Send + Sync + 'static) -> Served {
        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(Scrapes::bind(([127, 0, 0, 1], 0).into()))
            .unwrap();
        let address = listener.0.local_addr().unwrap();
        let task = runtime.spawn(serve(listener, Arc::new(make)));
        Served {
            runtime,
            address,
            task,
        }
    }

    impl Served {
        fn connect(&self) -> net::TcpStream {
            let stream = net::TcpStream::connect(self.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        }

        /// Returns status line, head and body of the answer.
        fn ask(&self, request: &str) -> (String, String, String) {
            let mut stream = self.connect();
            write!(stream, "{request} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let (status, head) = head.split_once("\r\n").unwrap();
            (status.to_owned(), head.to_owned(), body.to_owned())
        }
    }

    /// Whether the other side has closed, as expected.
    fn is_closed(mut stream: net::TcpStream) -> bool {
        match stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    #[test]
    fn the_page_is_served_and_nothing_else() {
        let served = served(|| Ok("page 1\n".to_owned()));
        let (status, head, body) = served.ask("GET /metrics");
        assert_eq!(
            (status.as_str(), body.as_str()),
            ("HTTP/1.1 200 OK", "page 1\n")
        );
        let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
        assert!(head.lines().any(|line| line == kind), "{head}");
        let (status, _, body) = served.ask("GET /");
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", INDEX));
        for other in [
            "POST /metrics",
            "GET /v1/status",
            "GET /metrics/",
            "DELETE /",
        ] {
            assert_eq!(served.ask(other).0, "HTTP/1.1 404 Not Found", "{other}");
        }
    }

    #[test]
    fn a_page_that_fails_does_not_tell_strangers_why() {
        let served = served(|| Err(ApiError::new(ErrorKind::Failed, "map /sys/fs/bpf/x")));
        let (status, _, body) = served.ask("GET /metrics");
        assert_eq!(status, "HTTP/1.1 500 Internal Server Error");
        assert!(
            body.contains("log of ipblockd") && !body.contains("/sys"),
            "{body}"
        );
    }

    #[test]
    fn who_takes_every_place_and_says_nothing_gives_way() {
        let served = served(|| Ok("page 1\n".to_owned()));
        let idle: Vec<_> = (0..BOUNDS.at_once).map(|_| served.connect()).collect();
        assert_eq!(served.ask("GET /metrics").2, "page 1\n");
        assert!(idle.into_iter().all(is_closed));
    }

    #[test]
    fn one_page_is_made_at_a_time() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        let served = served(|| {
            let others = NOW.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            NOW.fetch_sub(1, Ordering::SeqCst);
            Ok(format!("others {others}\n"))
        });
        thread::scope(|scope| {
            let scrapes: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| served.ask("GET /metrics").2))
                .collect();
            for scrape in scrapes {
                assert_eq!(scrape.join().unwrap(), "others 0\n");
            }
        });
    }

    #[test]
    fn open_connections_end_with_the_listener() {
        let served = served(|| Ok(String::new()));
        let hanging = served.connect();
        // Accepted by now: connections are accepted in order.
        served.ask("GET /");
        served.task.abort();
        assert!(is_closed(hanging));
        drop(served.runtime);
        assert!(net::TcpStream::connect(served.address).is_err());
    }
}
