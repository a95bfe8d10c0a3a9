//! Alerts as HTTP POST of JSON arrays.
//!
//! Delivery is at least once: a request without an answer is sent again, so a receiver may see an
//! alert twice, with the same `id`. Redirects are not followed, because headers contain secrets.

use std::{net::IpAddr, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};
use ureq::{
    Agent, Error,
    http::{HeaderMap, StatusCode, Uri, header::RETRY_AFTER},
    tls::{RootCerts, TlsConfig},
};

use super::{Batch, DeliveryError, Receiver};

/// Maximum that is read of an answer's body. It is not used, but senders prefer to be read to the
/// end.
const ANSWER: u64 = 64 << 10;

/// Timeout of that.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The user agent.
const USER_AGENT: &str = concat!("ipblock/", env!("CARGO_PKG_VERSION"));

/// One URL.
pub(super) struct Webhook {
    agent: Agent,
    url: String,
    /// The part of the URL that may be shown: paths and queries may contain secrets.
    origin: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    batch: usize,
}

impl Webhook {
    /// Returns a webhook that has sent nothing yet.
    pub(super) fn new(
        url: &str,
        headers: Vec<(String, String)>,
        timeout: Duration,
        batch: usize,
    ) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .timeout_global(Some(timeout))
            .timeout_recv_body(Some(ANSWER_TIME))
            // The server may close an idle connection at the moment of its reuse, which would be
            // another kind of failure; a busy receiver gets large batches instead.
            .max_idle_connections(0)
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            );
        if is_loopback(url) {
            // A proxy cannot reach this host's own receivers.
            config = config.proxy(None);
        }
        Self {
            agent: config.build().new_agent(),
            url: url.to_owned(),
            origin: origin(url),
            headers,
            timeout,
            batch,
        }
    }

    fn post(&self, body: &[u8]) -> Result<(StatusCode, HeaderMap), Error> {
        let mut request = self.agent.post(&self.url).content_type("application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body)?;
        let answer = response.body_mut().with_config().limit(ANSWER);
        // The status is the answer, whatever the body is.
        drop(answer.read_to_vec());
        let (parts, _) = response.into_parts();
        Ok((parts.status, parts.headers))
    }

    fn judge(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), DeliveryError> {
        if status.is_success() {
            return Ok(());
        }
        let detail = format!(
            "{}: answered {}{}",
            self.origin,
            status.as_u16(),
            hint(status)
        );
        if !is_final(status) {
            let after = headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            return Err(DeliveryError::Again {
                detail,
                after: after.and_then(|text| retry_after(text, Timestamp::now())),
            });
        }
        Err(DeliveryError::Refused { detail })
    }

    /// Describes a failed request, without the URL that some errors contain.
    fn why(&self, error: &Error) -> String {
        let why = match error {
            Error::Timeout(_) => format!("no answer within {:?}", self.timeout),
            Error::Io(error) => error.to_string(),
            Error::HostNotFound => "its name is not known: see the resolver".to_owned(),
            Error::ConnectionFailed => "no connection".to_owned(),
            Error::Rustls(error) => format!("TLS: {error}"),
            Error::Tls(why) => format!("TLS: {why}"),
            Error::Protocol(_) => "its answer is no HTTP".to_owned(),
            Error::BadUri(_) | Error::Http(_) => "the request cannot be written".to_owned(),
            Error::InvalidProxyUrl => "the proxy of the environment has no good URL".to_owned(),
            Error::ConnectProxyFailed(_) => "the proxy does not connect".to_owned(),
            _ => "the request failed".to_owned(),
        };
        format!("{}: {why}", self.origin)
    }
}

impl Receiver for Webhook {
    fn batch(&self) -> usize {
        self.batch
    }

    fn deliver(&mut self, batch: &Batch) -> Result<(), DeliveryError> {
        let alerts: Vec<_> = batch.iter().collect();
        let body = serde_json::to_vec(&alerts).map_err(|error| DeliveryError::Refused {
            detail: error.to_string(),
        })?;
        match self.post(&body) {
            Ok((status, headers)) => self.judge(status, &headers),
            Err(error) => Err(DeliveryError::again(self.why(&error))),
        }
    }
}

/// Whether the same batch would get the same answer again.
fn is_final(status: StatusCode) -> bool {
    let passing = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_client_error() && !passing.contains(&status)
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => ": redirects are not followed; write the url that they lead to",
        401 | 403 | 407 => ": see its headers in the configuration",
        404 | 405 | 410 => ": see its url in the configuration",
        413 => ": set a smaller batch",
        _ => "",
    }
}

/// Parses seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?;
    Duration::try_from(until.duration_since(now)).ok()
}

/// Returns scheme, host and port: the part of a URL that may be shown.
pub(crate) fn origin(url: &str) -> String {
    let Ok(url) = url.parse::<Uri>() else {
        return "webhook".to_owned();
    };
    let scheme = url.scheme_str().unwrap_or("http");
    let host = url.host().unwrap_or("?");
    let port = url.port_u16().map(|port| format!(":{port}"));
    format!("{scheme}://{host}{}", port.unwrap_or_default())
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_asks_for_a_pause_in_seconds_or_until_a_date() {
        let now = "2026-10-01T12:00:00Z".parse().unwrap();
        let seconds = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Thu, 01 Oct 2026 12:01:00 GMT"), Some(60));
        assert_eq!(seconds("Thu, 01 Oct 2026 11:00:00 GMT"), None);
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn what_is_told_of_a_url_ends_with_its_host_and_port() {
        for (url, told) in [
            (
                "https://hooks.example.com/services/SECRET?k=v",
                "https://hooks.example.com",
            ),
            (
                "http://me:secret@[2001:db8::1]:8080/x",
                "http://[2001:db8::1]:8080",
            ),
            ("\n", "webhook"),
        ] {
            assert_eq!(origin(url), told);
        }
    }

    #[test]
    fn only_an_answer_that_would_be_the_same_again_is_final() {
        for (status, expected) in [
            (301, false),
            (400, true),
            (401, true),
            (404, true),
            (408, false),
            (413, true),
            (425, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_final(status), expected, "{status}");
        }
    }

    #[test]
    fn only_receivers_elsewhere_may_be_behind_a_proxy() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]/", true),
            ("https://localhost/x", true),
            ("https://example.com/", false),
            ("http://192.0.2.1/", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }
}
