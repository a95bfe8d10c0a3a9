//! `watch`: a live view on the whole terminal, through the API only.
//!
//! `model` is the data, `draw` is the appearance, `terminal` is the terminal. This file is the loop
//! that feeds the model from the daemon and from the keys.

mod draw;
mod model;
mod panes;
mod rate_history;
mod terminal;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf, thread, time::Duration};

use ipblock_api::{
    client::{Client, ClientError},
    types::{AlertQuery, BansQuery, TopBy, TopQuery},
};
use ipblock_output::View;
use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use self::model::{Answers, Flow, Model};
pub use self::terminal::Screen;

use super::{
    error::{CliError, OK},
    outage::is_passing,
    session::Session,
};

/// The keys; the help for `?` shows the same text.
pub(super) const KEYS: &str = "\
Keys:
  q, Esc, Ctrl-C    quit
  Tab, left, right  go to another part of the screen
  j, k, up, down    scroll it; also page up and down, g and G
  s                 sort rules by rate, packets, last hit or name
  /                 show only what holds a text: rules, sources, bans, alerts
                    (Enter keeps it, Esc clears it)
  p                 pause
  ?                 help

Numbers are packets, and packets a second. Those of sources are estimates past
64 hits in a tick of a CPU, as in `ipblock-ctl top`.";

/// Interval of the requests.
const INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of one round of requests, after which the daemon counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);
/// Number of requested sources and bans.
const SOURCES: u32 = 20;
const BANS: u32 = 20;
/// Number of requested alerts at first, and after too many to read them one by one.
const NEWEST_ALERTS: u32 = 200;
/// Maximum number of requested new alerts per second.
const NEW_ALERTS: u32 = 1000;

type Round = Result<Answers, RoundError>;

/// Why a round of requests failed.
enum RoundError {
    Client(ClientError),
    TooLate,
}

impl RoundError {
    fn text(&self) -> String {
        match self {
            // Without the path: the line is short, and the path was correct at the start.
            Self::Client(ClientError::Unreachable { source, .. }) => {
                format!("cannot reach ipblockd, retrying: {source}")
            }
            Self::Client(error) => format!("no answer from ipblockd, retrying: {error}"),
            Self::TooLate => {
                let seconds = PATIENCE.as_secs();
                format!("cannot reach ipblockd, retrying: no answer in {seconds} s")
            }
        }
    }
}

pub(crate) async fn run(session: &mut Session<'_>) -> Result<u8, CliError> {
    if session.output.is_json() || !terminal::is_there() {
        return Err(CliError::Usage {
            message: "`watch` draws on a terminal".to_owned(),
            hint: "elsewhere there are `ipblock-ctl counters --watch` and \
                   `ipblock-ctl alerts --follow`, both also with --json"
                .to_owned(),
        });
    }
    let began = Instant::now();
    // An error at the start is reported as in every command.
    let answers = match ask(session.client.clone(), None, began).await {
        Ok(answers) => answers,
        Err(RoundError::Client(error)) => return Err(error.into()),
        Err(RoundError::TooLate) => {
            return Err(CliError::Client(ClientError::Unreachable {
                path: session.client.socket().to_path_buf(),
                source: io::Error::from(io::ErrorKind::TimedOut),
            }));
        }
    };
    let mut view = Live {
        client: session.client.clone(),
        view: session.output.view().clone(),
        model: Model::new(answers),
        began,
        asked: began,
        round: None,
    };
    let mut signals = Signals::new()?;
    let screen = Screen::enter(view.view.color)?;
    view.run(screen, &mut signals).await?;
    Ok(OK)
}

/// One run of the live view.
struct Live {
    client: Client,
    view: View,
    model: Model,
    began: Instant,
    /// Time of the last round of requests.
    asked: Instant,
    round: Option<JoinHandle<Round>>,
}

impl Live {
    async fn run(&mut self, mut screen: Screen, signals: &mut Signals) -> Result<(), CliError> {
        let mut events = events();
        let mut second = tokio::time::interval(INTERVAL);
        loop {
            self.view.now = Timestamp::now();
            let at = self.began.elapsed();
            screen.draw(|frame| draw::draw(frame, &mut self.model, at, &self.view))?;
            tokio::select! {
                event = events.recv() => match event {
                    Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                        if self.model.press(key) == Flow::Quit {
                            return Ok(());
                        }
                    }
                    // A new size, or an irrelevant event: draws again.
                    Some(Ok(_)) => {}
                    Some(Err(source)) => return Err(CliError::File {
                        verb: "read",
                        path: PathBuf::from("/dev/tty"),
                        source,
                    }),
                    None => return Ok(()),
                },
                round = answered(&mut self.round) => self.take(round)?,
                () = sleep_until(self.asked + INTERVAL), if self.may_ask() => self.ask(),
                // The clock and the remaining time of bans continue without the daemon.
                _ = second.tick() => {}
                () = signals.any() => return Ok(()),
            }
        }
    }

    const fn may_ask(&self) -> bool {
        self.round.is_none() && !self.model.paused
    }

    fn ask(&mut self) {
        self.asked = Instant::now();
        let round = ask(self.client.clone(), self.model.after(), self.began);
        self.round = Some(tokio::spawn(round));
    }

    fn take(&mut self, round: Round) -> Result<(), CliError> {
        self.round = None;
        match round {
            Ok(answers) => self.model.take(answers),
            Err(RoundError::Client(error)) if !is_passing(&error) => return Err(error.into()),
            Err(problem) => self.model.problem = Some(problem.text()),
        }
        Ok(())
    }
}

/// Returns the answers of the round; never returns without a round.
async fn answered(round: &mut Option<JoinHandle<Round>>) -> Round {
    match round {
        None => std::future::pending().await,
        Some(round) => match round.await {
            Ok(round) => round,
            // It is not aborted, so it panicked, and the panic was reported.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        },
    }
}

/// Sends five requests, one after the other: this adds little load on a busy daemon.
async fn ask(client: Client, after: Option<u64>, began: Instant) -> Round {
    let questions = async {
        let status = client.status().await?;
        let status_at = began.elapsed();
        let counters = client.counters().await?;
        let counters_at = began.elapsed();
        let top = TopQuery {
            by: TopBy::Packets,
            limit: Some(SOURCES),
            ..TopQuery::default()
        };
        let alerts = AlertQuery {
            after,
            limit: Some(match after {
                Some(_) => NEW_ALERTS,
                None => NEWEST_ALERTS,
            }),
            ..AlertQuery::default()
        };
        let bans = BansQuery {
            limit: Some(BANS),
            ..BansQuery::default()
        };
        Ok(Answers {
            status,
            status_at,
            counters,
            counters_at,
            top: client.top(&top).await?,
            alerts: client.alerts(&alerts).await?,
            alerts_follow: after.is_some(),
            bans: client.bans(&bans).await?,
        })
    };
    match timeout(PATIENCE, questions).await {
        Ok(answers) => answers.map_err(RoundError::Client),
        Err(_elapsed) => Err(RoundError::TooLate),
    }
}

/// Returns keys and new sizes. A thread reads them, because reading blocks; it ends with the
/// process.
fn events() -> mpsc::UnboundedReceiver<io::Result<Event>> {
    let (sender, events) = mpsc::unbounded_channel();
    thread::spawn(move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if sender.send(event).is_err() || failed {
                return;
            }
        }
    });
    events
}

/// Signals that would end the process and leave the terminal unusable.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(|source| CliError::Runtime { source });
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
