//! One request and its answer: connects, waits, and interprets the answer.

use std::{io, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{SSH_PEER_HEADER, SUDO_USER_HEADER, error::ApiError},
    Client, ClientError,
    target::Target,
};

/// Maximum size of an answer in bytes: above any real ruleset, below what harms the host.
const MAX_ANSWER: usize = 1 << 30;

/// Delay before the next attempt to connect if the queue is full.
const KNOCK_AGAIN: Duration = Duration::from_millis(20);

impl Client {
    /// Returns the body of a 2xx answer; any other answer is an error.
    pub(super) async fn send(&self, target: Target, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let (route, patience) = (target.to_string(), target.patience);
        let mut request = Request::builder()
            .method(target.method.as_str())
            .uri(target.path)
            .header(HOST, "ipblockd")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        if !self.ssh_peers.is_empty() {
            let peers: Vec<_> = self.ssh_peers.iter().map(ToString::to_string).collect();
            request = request.header(SSH_PEER_HEADER, peers.join(","));
        }
        if let Some(user) = &self.sudo_user {
            request = request.header(SUDO_USER_HEADER, user);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ClientError::Protocol {
                route: route.clone(),
                problem: format!("the request cannot be built: {error}"),
            })?;
        let stream = self.connect().await?;
        let (status, body) = match timeout(patience, exchange(stream, request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => return Err(ClientError::Lost { route, problem }),
            Err(_) => {
                return Err(ClientError::Silent {
                    route,
                    seconds: patience.as_secs(),
                });
            }
        };
        if status.is_success() {
            Ok(body)
        } else {
            Err(refusal(route, status, &body))
        }
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let source = match self.knock().await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let path = self.socket.clone();
        Err(match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path },
            _ => ClientError::Unreachable { path, source },
        })
    }

    /// Connects. If the queue of the socket is full, which the kernel reports at once (`EAGAIN` of
    /// `unix_stream_connect` in `net/unix/af_unix.c`), it tries again.
    async fn knock(&self) -> io::Result<UnixStream> {
        let patience = self.to_connect;
        let deadline = Instant::now() + patience;
        loop {
            match timeout(patience, UnixStream::connect(&self.socket)).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        let message = "too many others wait to be let in";
                        return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
                    }
                    sleep(KNOCK_AGAIN).await;
                }
                Ok(result) => return result,
                Err(_) => {
                    let message = format!("no answer in {} s", patience.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
            }
        }
    }
}

/// Returns status and body of the answer, or what happened to the connection.
async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends with the sender. The request returns its errors.
    tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok((status, body.to_bytes()))
}

fn refusal(route: String, status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<ApiError>(body) {
        Ok(error) => ClientError::Api(error),
        Err(_) => ClientError::Protocol {
            route,
            problem: format!("status {status} without a reason"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use ipblock_policy::Hinted;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::routes::Route;

    /// Longer than any machine needs.
    const LONG: Duration = Duration::from_mins(2);

    #[test]
    fn a_refusal_without_a_reason_is_a_protocol_error() {
        let error = refusal("GET /v1/nope".to_owned(), StatusCode::NOT_FOUND, b"");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(
            error.to_string(),
            "ipblockd's answer to GET /v1/nope is not understood: \
             status 404 Not Found without a reason"
        );
    }

    #[test]
    fn a_refusal_with_a_reason_keeps_it() {
        let body = br#"{"kind":"conflict","message":"no","hint":"do that"}"#;
        let error = refusal("POST /v1/deploy".to_owned(), StatusCode::CONFLICT, body);
        assert!(error.is_conflict());
        assert_eq!(error.exit_code(), 3);
        assert_eq!(error.hint().as_deref(), Some("do that"));
    }

    #[test]
    fn a_daemon_that_accepts_and_says_nothing_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _silent = UnixListener::bind(&socket).unwrap();
        let target = Target {
            patience: Duration::from_millis(1),
            ..Target::from(Route::Status)
        };
        let client = Client::new(socket);
        let error = Runtime::new()
            .unwrap()
            .block_on(client.send(target, Vec::new()));
        let error = error.unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert_eq!(
            error.to_string(),
            "ipblockd did not answer GET /v1/status within 0 s"
        );
        assert!(error.hint().unwrap().contains("may still carry it out"));
    }

    #[test]
    fn a_queue_that_is_full_for_a_while_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let runtime = Runtime::new().unwrap();
        let crowd = runtime.block_on(async {
            let listening = tokio::net::UnixSocket::new_stream().unwrap();
            listening.bind(&socket).unwrap();
            let listener = listening.listen(1).unwrap();
            let mut crowd = Vec::new();
            while let Ok(stream) = UnixStream::connect(&socket).await {
                crowd.push(stream);
            }
            let mut client = Client::new(socket.clone());
            client.to_connect = Duration::ZERO;
            let error = client.connect().await.unwrap_err();
            assert!(error.to_string().contains("too many others"), "{error}");
            client.to_connect = LONG;
            let knocking = tokio::spawn(async move { client.connect().await.is_ok() });
            listener.accept().await.unwrap();
            assert!(timeout(LONG, knocking).await.unwrap().unwrap());
            crowd
        });
        assert!(!crowd.is_empty());
    }
}
