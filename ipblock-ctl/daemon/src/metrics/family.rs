//! One family of series: a name, its meaning, and a value for each set of labels.

use jiff::Timestamp;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// Names and values of labels.
pub(super) type Labels<'a> = [(&'static str, &'a str)];

/// A family that grows by [`Family::add`].
pub(super) struct Family {
    proto: MetricFamily,
}

impl Family {
    /// Returns a family of values that only increase while their object exists; the name ends in
    /// `_total`.
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    /// Returns a family of values that increase and decrease.
    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut proto = MetricFamily::default();
        proto.set_name(name.to_owned());
        proto.set_help(help.to_owned());
        proto.set_field_type(kind);
        Self { proto }
    }

    /// Adds a series. Above 2^53 the value is the nearest double, the type of Prometheus; rounding
    /// keeps the order, so a counter never decreases.
    #[expect(
        clippy::cast_precision_loss,
        reason = "samples of Prometheus are doubles"
    )]
    pub(super) fn add(&mut self, labels: &Labels<'_>, value: u64) {
        self.push(labels, value as f64);
    }

    /// Adds a series with 1 or 0.
    pub(super) fn add_flag(&mut self, labels: &Labels<'_>, holds: bool) {
        self.add(labels, u64::from(holds));
    }

    /// Sets the only series of a family without labels.
    pub(super) fn of(mut self, value: u64) -> Self {
        self.add(&[], value);
        self
    }

    /// Sets the only series of a family without labels, in seconds; none if it is not known.
    pub(super) fn of_seconds(mut self, seconds: Option<f64>) -> Self {
        if let Some(seconds) = seconds {
            self.push(&[], seconds);
        }
        self
    }

    /// Sets the only series of a family without labels, in seconds since 1970.
    pub(super) fn of_time(self, time: Option<Timestamp>) -> Self {
        let milliseconds = time.map(Timestamp::as_millisecond);
        #[expect(
            clippy::cast_precision_loss,
            reason = "2^53 ms are 285,000 years from 1970"
        )]
        self.of_seconds(milliseconds.map(|milliseconds| milliseconds as f64 / 1e3))
    }

    /// Returns the form for the encoder, which rejects a family without a series.
    pub(super) fn into_proto(self) -> Option<MetricFamily> {
        Some(self.proto).filter(|proto| !proto.get_metric().is_empty())
    }

    fn push(&mut self, labels: &Labels<'_>, value: f64) {
        let mut metric = Metric::default();
        metric.set_label(
            labels
                .iter()
                .map(|(name, value)| pair(name, value))
                .collect(),
        );
        if self.proto.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.proto.mut_metric().push(metric);
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
