//! The options of one rule.

use std::borrow::Cow;

/// The effect of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Block,
    /// `ACCEPT`: the packet passes the table.
    Accept,
    /// `RETURN`: the packet passes the chain.
    Return,
    /// The packet goes on to the next rule, perhaps logged or marked.
    Continue,
}

/// Targets after which the next rule is asked.
const CONTINUING: [&str; 24] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DSCP",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "LOG",
    "MARK",
    "NFLOG",
    "NOTRACK",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
];

/// Returns the effect of a target; `None` for a chain, or a target without a known effect.
pub(super) fn effect(target: &str) -> Option<Effect> {
    Some(match target {
        "DROP" | "REJECT" | "TARPIT" => Effect::Block,
        "ACCEPT" => Effect::Accept,
        "RETURN" => Effect::Return,
        // A rule without a target counts packets.
        "" | "ULOG" => Effect::Continue,
        target if CONTINUING.contains(&target) => Effect::Continue,
        _ => return None,
    })
}

/// A rule that is added to a chain.
#[derive(Debug, Default)]
pub(super) struct Rule<'l> {
    /// The addresses of packets; empty means all.
    pub(super) sources: Vec<Cow<'l, str>>,
    /// Whether packets from *other* addresses are meant.
    pub(super) is_negated: bool,
    /// The first option that limits the rule to some of the packets from an address.
    pub(super) limit: Option<String>,
    /// The target or chain; empty if there is none.
    pub(super) target: Cow<'l, str>,
    pub(super) note: Cow<'l, str>,
}

impl<'l> Rule<'l> {
    /// A rule that drops all packets from a source.
    pub(super) fn drops(source: &'l str) -> Self {
        Self {
            sources: vec![source.into()],
            target: "DROP".into(),
            ..Self::default()
        }
    }

    /// Reads the options after the name of the chain.
    pub(super) fn of(words: Vec<Cow<'l, str>>) -> Self {
        let mut rule = Self::default();
        let mut words = words.into_iter().peekable();
        let mut is_negated = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default();
            match word.as_ref() {
                "!" => {
                    is_negated = true;
                    continue;
                }
                "-s" | "--source" | "--src" | "--src-range" => {
                    rule.is_negated |= is_negated;
                    rule.add_sources(value());
                }
                "-j" | "--jump" | "-g" | "--goto" => rule.target = value(),
                "--comment" => rule.note = value(),
                "-m" | "--match" => {
                    let module = value();
                    // The others limit by themselves or by their options.
                    if !matches!(module.as_ref(), "comment" | "iprange") {
                        rule.limit_by(&format!("-m {module}"));
                    }
                }
                "-p" | "--protocol" | "--proto" => {
                    let protocol = value();
                    if is_negated || !matches!(protocol.as_ref(), "all" | "0") {
                        rule.limit_by(&format!("-p {protocol}"));
                    }
                }
                "-c" | "--set-counters" => {
                    value();
                    words.next();
                }
                "--reject-with" | "--log-prefix" | "--log-level" | "--nflog-prefix"
                | "--nflog-group" => drop(value()),
                "-w" | "--wait" | "-W" | "--wait-interval" => {
                    drop(words.next_if(|word| super::is_number(word)));
                }
                "-4" | "-6" | "--ipv4" | "--ipv6" | "-n" | "-v" => {}
                option if option.starts_with('-') => rule.limit_by(option),
                // The value of an option that limits.
                _ => {}
            }
            is_negated = false;
        }
        rule
    }

    fn add_sources(&mut self, text: Cow<'l, str>) {
        match text {
            Cow::Borrowed(text) => {
                self.sources.extend(text.split(',').map(Cow::Borrowed));
            }
            Cow::Owned(text) => {
                let parts = text.split(',').map(|part| Cow::Owned(part.to_owned()));
                self.sources.extend(parts);
            }
        }
    }

    fn limit_by(&mut self, option: &str) {
        self.limit.get_or_insert_with(|| option.to_owned());
    }
}
