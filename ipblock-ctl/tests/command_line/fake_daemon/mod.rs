//! A daemon with canned answers, which records its requests.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::Request,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::oneshot};

/// One canned answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    method: &'static str,
    path: &'static str,
    status: u16,
    body: Value,
    delay: Duration,
}

impl Answer {
    /// The same answer, after a delay.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// The answer to requests with this method, path and query. Several answers to the same request are
/// given in order, and the last one is repeated. A path that ends in `*` matches all paths with
/// this beginning.
pub(crate) fn answer(method: &'static str, path: &'static str, status: u16, body: Value) -> Answer {
    Answer {
        method,
        path,
        status,
        body,
        delay: Duration::ZERO,
    }
}

/// A recorded request; a body that is not JSON is null.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The header with the source of the SSH session.
    pub(crate) ssh_peer: Option<String>,
}

/// Listens on its own socket until dropped.
pub(crate) struct FakeDaemon {
    directory: TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FakeDaemon {
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let mut daemon = Self {
            directory: tempfile::tempdir().expect("a directory"),
            asked: Arc::default(),
            stop: None,
            thread: None,
        };
        daemon.start_again(answers);
        daemon
    }

    /// Listens again after [`Self::stop`], with these answers.
    pub(crate) fn start_again(&mut self, answers: Vec<Answer>) {
        let socket = self.socket();
        let _ = fs::remove_file(&socket);
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        listener.set_nonblocking(true).expect("a mode");
        let (stop, stopped) = oneshot::channel();
        let router = router(answers, Arc::clone(&self.asked));
        self.stop = Some(stop);
        self.thread = Some(thread::spawn(move || serve(listener, router, stopped)));
    }

    /// Stops answering. The socket stays, as after a killed daemon.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.directory.path())
    }

    /// Returns the requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.stop();
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("ipblock.sock")
}

fn serve(
    listener: std::os::unix::net::UnixListener,
    router: Router,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let listener = UnixListener::from_std(listener).expect("a listener");
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served.expect("served"),
            _ = stopped => {}
        }
    });
}

fn router(answers: Vec<Answer>, asked: Arc<Mutex<Vec<Asked>>>) -> Router {
    let answers = Arc::new(Mutex::new(answers));
    Router::new().fallback(move |request: Request| {
        let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
        async move {
            let (head, body) = request.into_parts();
            let bytes: Bytes = to_bytes(body, usize::MAX).await.expect("a body");
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            let ssh_peer = head.headers.get("ipblock-ssh-peer");
            let ssh_peer = ssh_peer.map(|peer| peer.to_str().expect("text").to_owned());
            let path = head.uri.path_and_query().map_or("", |path| path.as_str());
            let request = Asked {
                path: path.to_owned(),
                body,
                ssh_peer,
            };
            asked.lock().expect("no panic").push(request);
            let Some(answer) = next_answer(&answers, head.method.as_str(), path) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            tokio::time::sleep(answer.delay).await;
            response(&answer)
        }
    })
}

fn next_answer(answers: &Mutex<Vec<Answer>>, method: &str, path: &str) -> Option<Answer> {
    let mut answers = answers.lock().expect("no panic");
    let fits = |answer: &Answer| {
        let is_path = match answer.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => answer.path == path,
        };
        answer.method == method && is_path
    };
    let next = answers.iter().position(fits)?;
    if answers.iter().filter(|answer| fits(answer)).count() > 1 {
        return Some(answers.remove(next));
    }
    answers.get(next).cloned()
}

fn response(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).expect("a status");
    (status, axum::Json(answer.body.clone())).into_response()
}
