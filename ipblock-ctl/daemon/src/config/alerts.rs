//! `[alerts]`, `[metrics]` and `[log]` of the configuration file.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    sinks::{self, SinkConfigs},
    values::{duration, number},
};
use crate::settings::{AlertsConfig, LogFormat};

const DAY: u64 = 86_400;

/// Settings of alerts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// A source and a rule cause one alert in this time.
    #[serde(default, deserialize_with = "window")]
    pub window: Option<Duration>,
    /// Maximum of packets that the kernel announces per second.
    #[serde(default, deserialize_with = "rate")]
    pub rate: Option<u64>,
    /// Alerts that the store keeps.
    #[serde(default, deserialize_with = "keep")]
    pub keep: Option<u64>,
    /// How long it keeps them.
    #[serde(default, deserialize_with = "keep_for")]
    pub keep_for: Option<Duration>,
    /// `[[alerts.sink]]`; an empty list means no sink.
    #[serde(default, rename = "sink", deserialize_with = "sinks::read")]
    pub sinks: Option<SinkConfigs>,
}

impl Alerts {
    /// Returns the settings; missing ones have their defaults.
    pub(crate) fn resolve(self, default: AlertsConfig) -> AlertsConfig {
        AlertsConfig {
            window: self.window.unwrap_or(default.window),
            rate: self.rate.unwrap_or(default.rate),
            keep: self.keep.unwrap_or(default.keep),
            keep_for: self.keep_for.unwrap_or(default.keep_for),
            sinks: self.sinks.map_or(default.sinks, |sinks| sinks.configs),
        }
    }
}

/// Settings of metrics.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// The TCP address.
    #[serde(default, deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
}

/// Settings of the log.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Its format.
    #[serde(default, deserialize_with = "format")]
    pub format: Option<LogFormat>,
}

fn window<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    duration(value, 1..=DAY, "1s to 24h").map(Some)
}

fn keep_for<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    duration(value, 60..=3_650 * DAY, "1m to 3650d").map(Some)
}

fn rate<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    number(value, 1..=100_000).map(Some)
}

fn keep<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    number(value, 1..=10_000_000).map(Some)
}

/// Reads `ADDRESS:PORT`, or only a port, which means the loopback address.
fn listen<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SocketAddr>, D::Error> {
    let value = toml::Value::deserialize(value)?;
    let text = match &value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let port = text.strip_prefix(':').unwrap_or(&text);
    let address = match port.parse::<u16>() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => text.parse::<SocketAddr>(),
    };
    address.map(Some).map_err(|_source| {
        D::Error::custom(format_args!(
            "`{text}` is not an address with a port: write \"127.0.0.1:9477\", \"[::1]:9477\", or 9477 \
             for the loopback address"
        ))
    })
}

fn format<'de, D: Deserializer<'de>>(value: D) -> Result<Option<LogFormat>, D::Error> {
    let text = String::deserialize(value)?;
    text.parse().map(Some).map_err(D::Error::custom)
}
