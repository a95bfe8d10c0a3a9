//! The state of the live view. It receives the daemon's answers and keys, and accesses neither
//! itself.

use std::{collections::VecDeque, time::Duration};

use ipblock_api::types::{
    AlertInfo, Alerts, BanInfo, Count, Counters, RuleCount, Status, TopInfo, Totals, ZoneStatus,
};
use ipblock_output::top;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::rate_history::RateHistories;

/// Maximum of alerts to scroll back to.
const KEPT_ALERTS: usize = 200;

/// The daemon's answers of one round. Times are relative to the start of the view.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) status: Status,
    pub(super) status_at: Duration,
    pub(super) counters: Counters,
    pub(super) counters_at: Duration,
    pub(super) top: Vec<TopInfo>,
    pub(super) alerts: Alerts,
    /// Whether the alerts come after the known ones; else they are the newest.
    pub(super) alerts_follow: bool,
    pub(super) bans: Vec<BanInfo>,
}

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Zones,
    Rules,
    Sources,
    Bans,
    Alerts,
}

pub(super) const PANES: [Pane; 5] = [
    Pane::Zones,
    Pane::Rules,
    Pane::Sources,
    Pane::Bans,
    Pane::Alerts,
];

/// The order of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Rate,
    Packets,
    LastHit,
    Name,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Packets,
            Self::Packets => Self::LastHit,
            Self::LastHit => Self::Name,
            Self::Name => Self::Rate,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Packets => "packets",
            Self::LastHit => "last hit",
            Self::Name => "name",
        }
    }
}

/// The present meaning of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Panes,
    /// The user types the filter.
    Filter,
    Help,
}

/// Whether to continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Quit,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct Model {
    status: Status,
    counters: Counters,
    top: Vec<TopInfo>,
    /// Newest first.
    alerts: VecDeque<AlertInfo>,
    bans: Vec<BanInfo>,
    bans_at: Duration,
    /// The position for the next alerts; `None` if only the newest are useful.
    after: Option<u64>,
    /// Dropped, passed and warned packets of zones.
    pub(super) dropped: RateHistories,
    pub(super) passed: RateHistories,
    pub(super) warned: RateHistories,
    pub(super) rules: RateHistories,
    pub(super) problem: Option<String>,
    pub(super) paused: bool,
    pub(super) mode: Mode,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) focus: Pane,
    /// Number of lines above the first visible one, for each pane.
    scrolled: [usize; PANES.len()],
}

impl Model {
    pub(super) fn new(answers: Answers) -> Self {
        let mut model = Self {
            status: answers.status.clone(),
            counters: answers.counters.clone(),
            top: Vec::new(),
            alerts: VecDeque::new(),
            bans: Vec::new(),
            bans_at: Duration::ZERO,
            after: None,
            dropped: RateHistories::default(),
            passed: RateHistories::default(),
            warned: RateHistories::default(),
            rules: RateHistories::default(),
            problem: None,
            paused: false,
            mode: Mode::Panes,
            sort: Sort::Rate,
            filter: String::new(),
            focus: Pane::Rules,
            scrolled: [0; PANES.len()],
        };
        model.take(answers);
        model
    }

    /// Applies the daemon's answers.
    pub(super) fn take(&mut self, answers: Answers) {
        let zones = |count: fn(&Totals) -> Count| {
            let zones = answers.status.zones.iter();
            zones.map(move |zone| (zone.name.clone(), count(&zone.totals)))
        };
        self.dropped
            .look(answers.status_at, zones(|totals| totals.dropped));
        self.passed.look(answers.status_at, zones(let_through));
        self.warned
            .look(answers.status_at, zones(|totals| totals.warned));
        let rules = answers.counters.rules.iter();
        let rules = rules.map(|rule| {
            let count = Count {
                packets: rule.packets,
                bytes: rule.bytes,
            };
            (rule.name.clone(), count)
        });
        self.rules.look(answers.counters_at, rules);
        if !answers.alerts_follow {
            self.alerts.clear();
        }
        // In a flood of alerts the view would fall further behind with each round.
        let too_many = answers.alerts.alerts.len() >= super::NEW_ALERTS as usize;
        self.after = (!too_many).then_some(answers.alerts.last);
        for alert in answers.alerts.alerts {
            self.alerts.push_front(alert);
        }
        self.alerts.truncate(KEPT_ALERTS);
        self.bans_at = answers.status_at;
        self.status = answers.status;
        self.counters = answers.counters;
        self.top = answers.top;
        self.bans = answers.bans;
        self.problem = None;
    }

    /// Returns the position for the next alerts; `None` to request the newest.
    pub(super) const fn after(&self) -> Option<u64> {
        self.after
    }

    pub(super) const fn status(&self) -> &Status {
        &self.status
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Flow {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (self.mode, key.code) {
            (_, KeyCode::Char('c')) if control => return Flow::Quit,
            (Mode::Help, KeyCode::Char('q')) => return Flow::Quit,
            (Mode::Help, _) => self.mode = Mode::Panes,
            (Mode::Filter, code) => self.type_filter(code, control),
            (Mode::Panes, code) => return self.command(code),
        }
        Flow::GoOn
    }

    fn type_filter(&mut self, code: KeyCode, control: bool) {
        match code {
            KeyCode::Enter => self.mode = Mode::Panes,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Panes;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char('u') if control => self.filter.clear(),
            KeyCode::Char(typed) if !control => self.filter.push(typed),
            _ => {}
        }
        self.scrolled = [0; PANES.len()];
    }

    fn command(&mut self, code: KeyCode) -> Flow {
        match code {
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Esc if self.filter.is_empty() => return Flow::Quit,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Tab | KeyCode::Right => self.focus = self.pane_at(1),
            KeyCode::BackTab | KeyCode::Left => self.focus = self.pane_at(PANES.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(|lines| lines.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(|lines| lines.saturating_sub(1)),
            KeyCode::PageDown => self.scroll(|lines| lines.saturating_add(10)),
            KeyCode::PageUp => self.scroll(|lines| lines.saturating_sub(10)),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(|_| 0),
            KeyCode::End | KeyCode::Char('G') => self.scroll(|_| usize::MAX),
            _ => {}
        }
        Flow::GoOn
    }

    /// Returns the pane at `step` positions after the one in focus, cyclically.
    fn pane_at(&self, step: usize) -> Pane {
        let index = (place(self.focus) + step) % PANES.len();
        PANES.get(index).copied().unwrap_or(Pane::Rules)
    }

    fn scroll(&mut self, to: impl Fn(usize) -> usize) {
        if let Some(scrolled) = self.scrolled.get_mut(place(self.focus)) {
            *scrolled = to(*scrolled);
        }
    }

    /// Returns the first of `lines` that a pane with `room` lines shows. Corrects a position that
    /// is scrolled too far.
    pub(super) fn first_line(&mut self, pane: Pane, lines: usize, room: usize) -> usize {
        let last = lines.saturating_sub(room);
        match self.scrolled.get_mut(place(pane)) {
            Some(scrolled) => {
                *scrolled = (*scrolled).min(last);
                *scrolled
            }
            None => 0,
        }
    }

    pub(super) fn zones(&self) -> &[ZoneStatus] {
        &self.status.zones
    }

    /// Returns the rules that match the filter, sorted.
    pub(super) fn sorted_rules(&self) -> Vec<&RuleCount> {
        let fits = |rule: &&RuleCount| self.fits(&rule.name);
        let mut rules: Vec<&RuleCount> = self.counters.rules.iter().filter(fits).collect();
        let rate = |rule: &RuleCount| self.rules.rate(&rule.name).unwrap_or_default().packets;
        // Equal ones keep the order of the ruleset.
        match self.sort {
            Sort::Rate => rules.sort_by(|a, b| rate(b).total_cmp(&rate(a))),
            Sort::Packets => rules.sort_by_key(|rule| std::cmp::Reverse(rule.packets)),
            Sort::LastHit => rules.sort_by_key(|rule| std::cmp::Reverse(rule.last_hit)),
            Sort::Name => rules.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        rules
    }

    /// Returns the sources that match the filter by address or by rule, largest first.
    pub(super) fn sources(&self) -> Vec<&TopInfo> {
        let fits = |source: &&TopInfo| {
            self.fits(&source.source.to_string())
                || top::rules(source).iter().any(|rule| self.fits(rule))
        };
        self.top.iter().filter(fits).collect()
    }

    /// Returns the alerts that match the filter by source or by rule, newest first.
    pub(super) fn alerts(&self) -> Vec<&AlertInfo> {
        let fits = |alert: &&AlertInfo| {
            self.fits(&alert.source.to_string()) || alert.rules.iter().any(|rule| self.fits(rule))
        };
        self.alerts.iter().filter(fits).collect()
    }

    /// Returns the bans that end next and match the filter, with the remaining seconds.
    pub(super) fn bans(&self, at: Duration) -> Vec<(&BanInfo, u64)> {
        let passed = at.saturating_sub(self.bans_at).as_secs();
        let fits = |ban: &&BanInfo| {
            let prefix = ban.prefix.to_string();
            let texts = [prefix.as_str(), &ban.reason, ban.origin.as_str()];
            texts.into_iter().any(|text| self.fits(text))
        };
        let bans = self.bans.iter().filter(fits);
        bans.map(|ban| (ban, ban.seconds_left.unwrap_or(0).saturating_sub(passed)))
            .collect()
    }

    fn fits(&self, text: &str) -> bool {
        self.filter.is_empty() || text.to_lowercase().contains(&self.filter.to_lowercase())
    }
}

const fn place(pane: Pane) -> usize {
    match pane {
        Pane::Zones => 0,
        Pane::Rules => 1,
        Pane::Sources => 2,
        Pane::Bans => 3,
        Pane::Alerts => 4,
    }
}

/// Returns all packets that passed without a warning.
const fn let_through(totals: &Totals) -> Count {
    Count {
        packets: totals.passed.packets + totals.allowed.packets,
        bytes: totals.passed.bytes + totals.allowed.bytes,
    }
}
