//! The log: one event per alert.

use std::{
    fs::{self, File},
    sync::Mutex,
};

use ipblock_api::types::{AlertInfo, AlertKind};
use ipblock_policy::Action;

use super::{
    super::{Batch, Receiver as _, log::Log},
    alert,
};

#[test]
fn every_alert_is_one_event_with_its_fields() {
    let second = AlertInfo {
        kind: AlertKind::Aggregate,
        action: Action::Block,
        rules: vec!["scan".to_owned(), "abuse".to_owned()],
        source: "2001:db8::1".parse().unwrap(),
        protocol: "icmpv6".to_owned(),
        destination_port: None,
        packets: 7,
        ..alert(2)
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .without_time()
        .with_writer(Mutex::new(File::create(file.path()).unwrap()))
        .finish();
    tracing::subscriber::with_default(log, || {
        Log.deliver(&Batch::from(vec![alert(1), second])).unwrap();
    });
    let text = fs::read_to_string(file.path()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = serde_json::json!({
        "level": "WARN", "target": "alert", "message": "192.0.2.1 hit scan",
        "id": 1, "kind": "first", "zone": "default", "interface": "eth0",
        "rule": "scan", "rules": "scan", "action": "warn",
        "source": "192.0.2.1", "destination": "198.51.100.1",
        "protocol": "tcp", "destination_port": 22, "packets": 1,
    });
    let second = serde_json::json!({
        "level": "WARN", "target": "alert", "message": "2001:db8::1 hit scan",
        "id": 2, "kind": "aggregate", "zone": "default", "interface": "eth0",
        "rule": "scan", "rules": "scan,abuse", "action": "block",
        "source": "2001:db8::1", "destination": "198.51.100.1",
        "protocol": "icmpv6", "packets": 7,
    });
    assert_eq!(lines, [first, second]);
}
