//! `[[alerts.sink]]` of the configuration file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ipblock_api::types::SinkKind;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    },
};
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::{
    absolute_path,
    values::{duration, number, text},
};
use crate::settings::{
    DEFAULT_FILE_KEEP, DEFAULT_FILE_MAX, DEFAULT_SINK_QUEUE, DEFAULT_WEBHOOK_BATCH,
    DEFAULT_WEBHOOK_TIMEOUT, SinkConfig, SinkTarget,
};

/// Maximum length of a header's value.
const MAX_HEADER: u64 = 8 << 10;

/// Headers that the request itself sets.
const OWN_HEADERS: [&str; 5] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// Every sink of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkConfigs {
    /// In their order, each with a unique name.
    pub configs: Vec<SinkConfig>,
    /// Whether the configuration file itself contains the value of a header.
    pub holds_secrets: bool,
}

/// One table of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkTable {
    #[serde(default, rename = "type")]
    kind: Option<SinkKind>,
    #[serde(default, deserialize_with = "name")]
    name: Option<String>,
    #[serde(default, deserialize_with = "queue")]
    queue: Option<usize>,
    #[serde(default, deserialize_with = "absolute_path")]
    path: Option<PathBuf>,
    #[serde(default, deserialize_with = "size")]
    max_size: Option<u64>,
    #[serde(default, deserialize_with = "keep")]
    keep: Option<u32>,
    #[serde(default, deserialize_with = "url")]
    url: Option<String>,
    #[serde(default, deserialize_with = "headers")]
    headers: Option<BTreeMap<String, Header>>,
    #[serde(default, deserialize_with = "timeout")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "batch")]
    batch: Option<usize>,
}

/// The value of a header.
struct Header {
    text: String,
    /// Whether it is in the configuration file itself.
    is_here: bool,
}

/// Deserialises `[[alerts.sink]]`, once per sink. `[alerts.sink]` is the expected mistake.
struct Tables;

impl<'de> Visitor<'de> for Tables {
    type Value = SinkConfigs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`[[alerts.sink]]`, with two pairs of brackets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tables: A) -> Result<SinkConfigs, A::Error> {
        let mut sinks = SinkConfigs::default();
        while tables.next_element_seed(Next(&mut sinks))?.is_some() {}
        Ok(sinks)
    }
}

/// Deserialises one table and adds it to the others. Problems of the whole table are reported
/// during this, because only then does the error have the table's position.
struct Next<'a>(&'a mut SinkConfigs);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, table: D) -> Result<(), D::Error> {
        table.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, as in { type = \"log\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<(), A::Error> {
        let table = SinkTable::deserialize(MapAccessDeserializer::new(keys))?;
        self.0.add(table).map_err(A::Error::custom)
    }
}

/// Reads all sinks.
pub(super) fn read<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SinkConfigs>, D::Error> {
    value.deserialize_seq(Tables).map(Some)
}

impl SinkConfigs {
    fn add(&mut self, table: SinkTable) -> Result<(), String> {
        let number = self.configs.len() + 1;
        let called = table.name.as_deref();
        let called = called.or_else(|| table.kind.map(SinkKind::as_str));
        let called = called.map_or_else(String::new, |called| format!(" (`{called}`)"));
        let mut headers = table.headers.iter().flatten();
        self.holds_secrets |= headers.any(|(_, header)| header.is_here);
        let config = table
            .resolve()
            .map_err(|why| format!("sink {number}{called} {why}"))?;
        for (first, other) in (1..).zip(&self.configs) {
            if other.name == config.name {
                return Err(format!(
                    "sinks {first} and {number} are both called `{}`: give each a `name` of its own",
                    config.name
                ));
            }
            if let (SinkTarget::File { path: one, .. }, SinkTarget::File { path: two, .. }) =
                (&other.target, &config.target)
                && one == two
            {
                return Err(format!(
                    "sinks {first} and {number} both write `{}`: give each a `path` of its own",
                    two.display()
                ));
            }
        }
        self.configs.push(config);
        Ok(())
    }
}

impl SinkTable {
    fn resolve(self) -> Result<SinkConfig, String> {
        let own = self
            .kind
            .ok_or("needs a `type`: write type = \"log\", \"file\" or \"webhook\"")?;
        let only =
            |kind: SinkKind, keys: &[(&str, bool)]| match keys.iter().find(|(_, is_set)| *is_set) {
                Some((key, _)) if own != kind => {
                    Err(format!("has no `{key}`: that is of a `{}`", kind.as_str()))
                }
                _ => Ok(()),
            };
        only(
            SinkKind::File,
            &[
                ("path", self.path.is_some()),
                ("max_size", self.max_size.is_some()),
                ("keep", self.keep.is_some()),
            ],
        )?;
        only(
            SinkKind::Webhook,
            &[
                ("url", self.url.is_some()),
                ("headers", self.headers.is_some()),
                ("timeout", self.timeout.is_some()),
                ("batch", self.batch.is_some()),
            ],
        )?;
        let headers = self.headers.into_iter().flatten();
        let target = match own {
            SinkKind::Log => SinkTarget::Log,
            SinkKind::File => SinkTarget::File {
                path: self.path.ok_or("needs a `path`")?,
                max_bytes: self.max_size.unwrap_or(DEFAULT_FILE_MAX),
                keep: self.keep.unwrap_or(DEFAULT_FILE_KEEP),
            },
            SinkKind::Webhook => SinkTarget::Webhook {
                url: self.url.ok_or("needs a `url`")?,
                headers: headers.map(|(name, header)| (name, header.text)).collect(),
                timeout: self.timeout.unwrap_or(DEFAULT_WEBHOOK_TIMEOUT),
                batch: self.batch.unwrap_or(DEFAULT_WEBHOOK_BATCH),
            },
        };
        Ok(SinkConfig {
            name: self.name.unwrap_or_else(|| own.as_str().to_owned()),
            queue: self.queue.unwrap_or(DEFAULT_SINK_QUEUE),
            target,
        })
    }
}

/// Reads the name, which `status` shows in a column and metrics in a label.
fn name<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(value)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (1..=32).contains(&name.len()) && name.chars().all(is_word) {
        return Ok(Some(name));
    }
    Err(D::Error::custom(format_args!(
        "`{name}` is not a name for a sink: 1 to 32 letters, digits, `_`, `-` and `.`"
    )))
}

fn queue<'de, D: Deserializer<'de>>(value: D) -> Result<Option<usize>, D::Error> {
    let queue = number(value, 1..=1_000_000)?;
    usize::try_from(queue).map(Some).map_err(D::Error::custom)
}

fn batch<'de, D: Deserializer<'de>>(value: D) -> Result<Option<usize>, D::Error> {
    let batch = number(value, 1..=10_000)?;
    usize::try_from(batch).map(Some).map_err(D::Error::custom)
}

fn keep<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u32>, D::Error> {
    let keep = number(value, 0..=1_000)?;
    u32::try_from(keep).map(Some).map_err(D::Error::custom)
}

fn timeout<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    duration(value, 1..=300, "1s to 5m").map(Some)
}

/// Reads a number with a unit: `"64MiB"`.
fn size<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    const BOUNDS: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 40);
    let text = text(value, "a size in quotes, as in \"64MiB\"")?;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text.get(digits.len()..).map(str::trim) {
        Some("KiB") => Some(10),
        Some("MiB") => Some(20),
        Some("GiB") => Some(30),
        _ => None,
    };
    let bytes = digits.parse().ok().zip(shift);
    let bytes = bytes.and_then(|(number, shift): (u64, u32)| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if BOUNDS.contains(&bytes) => Ok(Some(bytes)),
        _ => Err(D::Error::custom(format_args!(
            "`{text}` is not a size: write \"64KiB\" to \"1024GiB\", as in \"64MiB\""
        ))),
    }
}

/// Never quotes the URL in an error if it may contain a secret.
fn url<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(value)?;
    let bad = |why: &str| Err(D::Error::custom(why));
    let Ok(url) = text.parse::<Uri>() else {
        return bad("not a url: write \"https://HOST/PATH\"");
    };
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return bad("not a url of a web server: write \"https://HOST/PATH\"");
    }
    if url.authority().is_some_and(|it| it.as_str().contains('@')) {
        return bad("a url holds no user and password here: write an Authorization header");
    }
    Ok(Some(text))
}

fn headers<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<BTreeMap<String, Header>>, D::Error> {
    let headers: BTreeMap<String, Header> = BTreeMap::deserialize(value)?;
    let mut seen = BTreeSet::new();
    for name in headers.keys() {
        let Ok(parsed) = name.parse::<HeaderName>() else {
            return Err(D::Error::custom(format_args!(
                "`{name}` is not the name of a header"
            )));
        };
        if OWN_HEADERS.contains(&parsed.as_str()) {
            return Err(D::Error::custom(format_args!(
                "header `{name}` is set by ipblockd itself: leave it out"
            )));
        }
        if !seen.insert(parsed.as_str().to_owned()) {
            return Err(D::Error::custom(format_args!(
                "header `{name}` stands here twice: write it once"
            )));
        }
    }
    Ok(Some(headers))
}

impl<'de> Deserialize<'de> for Header {
    /// Reads a text, or `{ file = "/PATH" }`. The file is read now, so that an error has its
    /// position.
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let header = match toml::Value::deserialize(value)? {
            toml::Value::String(text) => Self {
                text,
                is_here: true,
            },
            toml::Value::Table(table) => match (table.len(), table.get("file")) {
                (1, Some(toml::Value::String(path))) => Self {
                    text: secret(Path::new(path)).map_err(D::Error::custom)?,
                    is_here: false,
                },
                _ => return Err(D::Error::custom(HEADER)),
            },
            _ => return Err(D::Error::custom(HEADER)),
        };
        match HeaderValue::from_str(&header.text) {
            Ok(_) => Ok(header),
            Err(_) => Err(D::Error::custom(
                "the value of a header is one line of printable characters",
            )),
        }
    }
}

const HEADER: &str = "the value of a header is a text, or { file = \"/PATH\" } to read it from";

/// Returns the content of a file, without the line end.
fn secret(path: &Path) -> Result<String, String> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(format!(
            "`{shown}` is not an absolute path: write it from the root"
        ));
    }
    let mut text = String::new();
    let file =
        File::open(path).and_then(|file| file.take(MAX_HEADER + 1).read_to_string(&mut text));
    file.map_err(|error| format!("cannot read {shown}: {error}"))?;
    if text.len() as u64 > MAX_HEADER {
        return Err(format!("{shown} is larger than {MAX_HEADER} bytes"));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{shown} is empty")),
        text => Ok(text.to_owned()),
    }
}
