//! Alerts in the daemon's own log: one event per alert, with target `alert`.

use ipblock_api::types::AlertInfo;
use tracing::warn;

use super::{Batch, DeliveryError, Receiver};

/// Alerts between two checks of the queue.
const BATCH: usize = 256;

/// The log.
pub(super) struct Log;

impl Receiver for Log {
    fn batch(&self) -> usize {
        BATCH
    }

    fn deliver(&mut self, batch: &Batch) -> Result<(), DeliveryError> {
        batch.iter().for_each(tell);
        Ok(())
    }
}

/// Only addresses and numbers come from the network here, so no value can break the line.
fn tell(alert: &AlertInfo) {
    let kind = alert.kind.as_str();
    let action = alert.action.as_str();
    warn!(
        target: "alert",
        id = alert.id,
        kind,
        zone = %alert.zone,
        interface = %alert.interface,
        rule = %alert.rule,
        rules = %alert.rules.join(","),
        action,
        source = %alert.source,
        destination = %alert.destination,
        protocol = %alert.protocol,
        destination_port = alert.destination_port,
        packets = alert.packets,
        "{source} hit {rule}",
        source = alert.source,
        rule = alert.rule,
    );
}
