//! Draws the live view: lines of text into the cells of a frame of any size.

use std::{fmt::Write as _, time::Duration};

use ipblock_output::{Tone, View, number::counted, table::cut, time::relative, view::visible};
use jiff::Timestamp;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};
use unicode_width::UnicodeWidthStr as _;

use super::{
    KEYS,
    model::{Mode, Model, Pane},
    panes::{self, Parts},
};

/// A smaller screen has no room for anything useful.
const MIN_WIDTH: u16 = 40;
const MIN_HEIGHT: u16 = 10;
/// Columns for the sources, next to bans, per hundred columns of the screen; the larger share is
/// for long addresses.
const SOURCES_SHARE: (u16, u16) = (56, 64);
/// From this height on there is an empty line above each part.
const AIRY: u16 = 20;
/// Maximum of zones without scrolling.
const ZONES: u16 = 4;

/// The target of drawing, with its settings.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    color: bool,
}

impl Canvas<'_> {
    /// Writes parts into one row of `area`, up to its right edge.
    fn line(&mut self, area: Rect, row: u16, parts: &Parts) {
        if row >= area.height {
            return;
        }
        let (mut x, y) = (area.x, area.y + row);
        for (text, tone) in parts {
            let room = area.right().saturating_sub(x);
            let style = self.style(*tone);
            (x, _) = self
                .buffer
                .set_stringn(x, y, text, usize::from(room), style);
        }
    }

    const fn style(&self, tone: Tone) -> Style {
        let style = Style::new();
        if !self.color {
            return style;
        }
        match tone {
            Tone::Plain => style,
            Tone::Strong => style.add_modifier(Modifier::BOLD),
            Tone::Faint => style.add_modifier(Modifier::DIM),
            Tone::Good => style.fg(Color::Green),
            Tone::Caution => style.fg(Color::Yellow),
            Tone::Bad => style.fg(Color::Red),
        }
    }
}

/// Draws everything. `at` is the time since the view began, as in the model.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, at: Duration, view: &View) {
    let screen = frame.area();
    let canvas = &mut Canvas {
        buffer: frame.buffer_mut(),
        color: view.color,
    };
    if screen.width < MIN_WIDTH || screen.height < MIN_HEIGHT {
        let text = format!("too small: {MIN_WIDTH}x{MIN_HEIGHT} is needed");
        canvas.line(screen, 0, &vec![(text, Tone::Plain)]);
        return;
    }
    canvas.line(screen, 0, &header(model, usize::from(screen.width), view));
    let notes = notes(model, view);
    // Some of the rest stays visible, whatever the number of problems.
    let shown = notes.iter().take(usize::from(screen.height / 5));
    let mut top = 1;
    for note in shown {
        canvas.line(screen, top, note);
        top += 1;
    }
    canvas.line(screen, screen.height - 1, &footer(model));
    let body = Rect {
        y: screen.y + top,
        height: screen.height - top - 1,
        ..screen
    };
    if model.mode == Mode::Help {
        for (row, line) in (0..).zip(KEYS.lines()) {
            canvas.line(body, row, &vec![(format!(" {line}"), Tone::Plain)]);
        }
        return;
    }
    for (pane, area) in areas(body, model) {
        draw_pane(canvas, pane, area, model, at, view);
    }
}

/// Returns the areas of the parts of the screen.
fn areas(body: Rect, model: &Model) -> [(Pane, Rect); 5] {
    let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let mut y = body.y;
    let gap = u16::from(body.height >= AIRY);
    let mut part = |height: u16| {
        let height = height.min(body.bottom().saturating_sub(y));
        let part = Rect { y, height, ..body };
        y = (y + height + gap).min(body.bottom());
        part
    };
    // Each with the line for its title.
    let zones = count(model.zones().len())
        .clamp(1, ZONES)
        .min(body.height / 6)
        + 1;
    let rest = body.height.saturating_sub(zones + 3 * gap);
    // Rules get at most two fifths of the rest and never more than they need, sources and bans a
    // quarter.
    let rules = count(model.sorted_rules().len()).max(1).min(rest * 2 / 5) + 1;
    let (zones, rules, low) = (part(zones), part(rules), part((rest / 4).max(2)));
    let (least, most) = SOURCES_SHARE;
    let share = |share: u16| count(usize::from(low.width) * usize::from(share) / 100);
    let width = count(panes::sources_width(model)).clamp(share(least), share(most));
    let sources = Rect { width, ..low };
    let bans = Rect {
        x: low.x + width + 1,
        width: low.width - width - 1,
        ..low
    };
    [
        (Pane::Zones, zones),
        (Pane::Rules, rules),
        (Pane::Sources, sources),
        (Pane::Bans, bans),
        (Pane::Alerts, part(body.height)),
    ]
}

fn draw_pane(
    canvas: &mut Canvas<'_>,
    pane: Pane,
    area: Rect,
    model: &mut Model,
    at: Duration,
    view: &View,
) {
    let width = usize::from(area.width).saturating_sub(1);
    let (title, lines) = match pane {
        Pane::Zones => panes::zones(model, width),
        Pane::Rules => panes::rules(model, width, view),
        Pane::Sources => panes::sources(model, width, view),
        Pane::Bans => panes::bans(model, width, at),
        Pane::Alerts => panes::alerts(model, width, view),
    };
    let mark = if model.focus == pane { ">" } else { " " };
    canvas.line(area, 0, &vec![(format!("{mark}{title}"), Tone::Strong)]);
    let room = usize::from(area.height.saturating_sub(1));
    let first = model.first_line(pane, lines.len(), room);
    let hidden = lines.len().saturating_sub(room);
    if hidden > 0 && room > 0 {
        let more = format!(" +{hidden} more");
        let left = area
            .width
            .saturating_sub(u16::try_from(more.width()).unwrap_or(0));
        let place = Rect {
            x: area.x + left,
            width: area.width - left,
            ..area
        };
        canvas.line(place, 0, &vec![(more, Tone::Caution)]);
    }
    let shown = lines.into_iter().skip(first).take(room);
    for (row, mut parts) in (1..).zip(shown) {
        parts.insert(0, (" ".to_owned(), Tone::Plain));
        canvas.line(area, row, &parts);
    }
}

/// The daemon and the time; what does not fit before the time is cut.
fn header(model: &Model, width: usize, view: &View) -> Parts {
    let status = model.status();
    let time = time_of_day(view.now, view);
    let time = if model.paused {
        format!("PAUSED {time}")
    } else {
        time
    };
    let revision = match status.revision {
        0 => "nothing deployed".to_owned(),
        revision => format!("revision {revision}"),
    };
    let staged = match status.staged {
        0 => "nothing staged".to_owned(),
        edits => format!("{} staged", counted(edits, "edit", "edits")),
    };
    let bans = counted(status.bans, "ban", "bans");
    let alerts = &status.alerts;
    let mut text = format!(
        "ipblockd {}, {revision}, {staged}, {bans}",
        visible(&status.version)
    );
    if alerts.lost > 0 {
        let _ = write!(
            text,
            ", {} without an alert",
            counted(alerts.lost, "packet", "packets")
        );
    }
    let room = width.saturating_sub(time.width() + 1);
    let text = cut(&text, room);
    let padding = " ".repeat(width.saturating_sub(text.width() + time.width()));
    vec![
        (text, Tone::Strong),
        (format!("{padding}{time}"), Tone::Plain),
    ]
}

/// Problems that need attention, the worst first.
fn notes(model: &Model, view: &View) -> Vec<Parts> {
    let status = model.status();
    let mut notes: Vec<Parts> = Vec::new();
    if let Some(problem) = &model.problem {
        notes.push(vec![(visible(problem), Tone::Bad)]);
    }
    if let Some(deadline) = status.confirm_deadline {
        let text = format!(
            "goes back {} ({}) unless `ipblock-ctl confirm` follows",
            relative(view.now, deadline),
            time_of_day(deadline, view)
        );
        notes.push(vec![(text, Tone::Bad)]);
    }
    for problem in &status.problems {
        let label = ("problem: ".to_owned(), Tone::Caution);
        notes.push(vec![label, (visible(problem), Tone::Plain)]);
    }
    notes
}

fn footer(model: &Model) -> Parts {
    let text = match model.mode {
        Mode::Help => "any key goes back".to_owned(),
        Mode::Filter => format!(
            "filter: {}_  Enter keeps it, Esc clears it",
            visible(&model.filter)
        ),
        Mode::Panes if model.filter.is_empty() => {
            "q quit  ? help  Tab part  j/k scroll  s sort  / filter  p pause".to_owned()
        }
        Mode::Panes => format!(
            "filter: {}  Esc clears it, / edits it",
            visible(&model.filter)
        ),
    };
    vec![(text, Tone::Faint)]
}

/// Formats hours, minutes and seconds.
fn time_of_day(time: Timestamp, view: &View) -> String {
    let time = time.to_zoned(view.time_zone.clone());
    time.strftime("%H:%M:%S").to_string()
}
