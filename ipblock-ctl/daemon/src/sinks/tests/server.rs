//! An HTTP server with predefined answers.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ipblock_api::types::AlertInfo;

use super::until;

/// The answer to one request.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// A status and further header lines.
    Status(u16, &'static str),
    /// 204, after a moment.
    Slow,
    /// 204, when the test releases it.
    Held,
    /// None, and the connection stays open.
    Hang,
    /// Half a status line, then the connection ends.
    Half,
    /// 200 and half a body, then the connection ends.
    HalfBody,
    /// Something that is not HTTP.
    Nonsense,
}

pub(super) const OK: Answer = Answer::Status(200, "");

/// A received request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Request line and headers, in lower case.
    pub(super) head: Vec<String>,
    pub(super) alerts: Vec<AlertInfo>,
}

impl Request {
    pub(super) fn ids(&self) -> Vec<u64> {
        self.alerts.iter().map(|alert| alert.id).collect()
    }
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    hanging: Mutex<Vec<TcpStream>>,
    released: AtomicBool,
    stop: AtomicBool,
}

/// Listens on the loopback address until dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers the requests in order, and then repeats the last answer.
    pub(super) fn start(answers: &'static [Answer]) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers)
    }

    pub(super) fn at(address: SocketAddr, answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let accepting = thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                for stream in listener.incoming() {
                    if seen.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let seen = Arc::clone(&seen);
                    thread::spawn(move || serve(stream.unwrap(), &seen, answers));
                }
            }
        });
        Self {
            address,
            seen,
            accepting: Some(accepting),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?key=SECRET", self.address)
    }

    /// Sends the held answers.
    pub(super) fn release(&self) {
        self.seen.released.store(true, Ordering::SeqCst);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Returns the ids of every request.
    pub(super) fn ids(&self) -> Vec<Vec<u64>> {
        self.requests().iter().map(Request::ids).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

fn serve(mut stream: TcpStream, seen: &Seen, answers: &[Answer]) {
    let Some(request) = read(&stream) else {
        return;
    };
    let answer = {
        let mut requests = seen.requests.lock().unwrap();
        requests.push(request);
        let last = answers.last().unwrap();
        *answers.get(requests.len() - 1).unwrap_or(last)
    };
    let text = match answer {
        Answer::Status(status, headers) => {
            format!("HTTP/1.1 {status} As told\r\ncontent-length: 2\r\n{headers}\r\nok")
        }
        Answer::Slow => {
            thread::sleep(Duration::from_millis(300));
            "HTTP/1.1 204 Late\r\n\r\n".to_owned()
        }
        Answer::Held => {
            until("told to answer", || seen.released.load(Ordering::SeqCst));
            "HTTP/1.1 204 Late\r\n\r\n".to_owned()
        }
        Answer::Hang => {
            seen.hanging.lock().unwrap().push(stream);
            return;
        }
        Answer::Half => "HTTP/1.1 20".to_owned(),
        Answer::HalfBody => "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf".to_owned(),
        Answer::Nonsense => "220 mail.example.com ESMTP\r\n\r\n".to_owned(),
    };
    // The sink may have given up.
    drop(stream.write_all(text.as_bytes()));
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_lowercase()),
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let alerts = serde_json::from_slice(&body).unwrap();
    Some(Request { head, alerts })
}
