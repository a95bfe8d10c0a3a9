//! A receiver of webhooks: a small HTTP server that accepts, refuses or hangs as a test wants.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::Netns;

/// Maximum delay until a receiver stops or changes its behaviour.
const LATENCY: Duration = Duration::from_millis(10);

/// What a receiver does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Accepts them: 204.
    Takes,
    /// Answers with this status, and keeps nothing.
    Answers(u16),
    /// Reads them, but does not answer until its mood changes; then it closes the connection.
    Hangs,
}

/// Listens on the loopback interface of a namespace until dropped.
#[derive(Debug)]
pub struct WebhookReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    requests: u64,
    taken: Vec<Taken>,
}

/// An accepted request.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When its body arrived.
    pub at: Instant,
    /// Header lines, names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body as JSON.
    pub body: Value,
}

impl WebhookReceiver {
    /// Returns a receiver that accepts everything.
    pub fn new(netns: &Netns) -> anyhow::Result<Self> {
        let listener = netns.enter(|| TcpListener::bind(("127.0.0.1", 0)))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                mood: Mood::Takes,
                requests: 0,
                taken: Vec::new(),
            }),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&listener, &shared)
        });
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// Sets what it does with requests from now on.
    pub fn set(&self, mood: Mood) {
        self.shared.inner().mood = mood;
    }

    /// Returns the number of requests, accepted or not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.inner().requests
    }

    /// Returns accepted requests, in order.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.inner().taken.clone()
    }

    /// Returns the elements of all accepted arrays in order, with their times.
    #[must_use]
    pub fn elements(&self) -> Vec<(Instant, Value)> {
        let inner = self.shared.inner();
        let taken = inner.taken.iter();
        taken
            .flat_map(|taken| {
                let elements = taken.body.as_array().into_iter().flatten();
                elements.map(|element| (taken.at, element.clone()))
            })
            .collect()
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn serve(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        while !shared.stopped() {
            match listener.accept() {
                Ok((stream, _)) => drop(scope.spawn(move || answer(&stream, shared))),
                Err(_) => thread::sleep(LATENCY),
            }
        }
    });
}

/// A client that aborts belongs to the test.
fn answer(stream: &TcpStream, shared: &Shared) {
    let Ok((headers, body)) = read(stream) else {
        return;
    };
    let mood = {
        let mut inner = shared.inner();
        inner.requests += 1;
        if inner.mood == Mood::Takes {
            inner.taken.push(Taken {
                at: Instant::now(),
                headers,
                body,
            });
        }
        inner.mood
    };
    let status = match mood {
        Mood::Takes => 204,
        Mood::Answers(status) => status,
        Mood::Hangs => {
            while shared.inner().mood == Mood::Hangs && !shared.stopped() {
                thread::sleep(LATENCY);
            }
            return;
        }
    };
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status} as asked\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
}

/// The header lines and the body of a request.
fn read(stream: &TcpStream) -> io::Result<(Vec<(String, String)>, Value)> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(crate::DEADLINE))?;
    let mut reader = BufReader::new(stream);
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse().map_err(io::Error::other)?;
            }
            headers.push((name, value));
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((headers, serde_json::from_slice(&body)?))
}
