//! The program's data per source: windows and events of alerts, and hits.

use std::{collections::HashMap, net::IpAddr};

use aya::{
    Pod,
    maps::{Array, HashMap as KernelMap, PerCpuArray, PerCpuValues, RingBuf},
    util::nr_cpus,
};
use ipblock_common::{
    AlertCounts, AlertEvent, AlertRate, AlertSettings, AlertWindow, ClassId, HitBudget, HitCount,
    SourceKey, names,
};
use zerocopy::FromBytes as _;

use crate::zone::Zone;

/// The key of a source in a class of a generation.
pub(crate) fn key(generation: u64, class: ClassId, source: &str) -> SourceKey {
    let (family, address) = match source.parse().unwrap() {
        IpAddr::V4(address) => (4, padded(&address.octets())),
        IpAddr::V6(address) => (6, address.octets()),
    };
    SourceKey {
        generation,
        class,
        family,
        address,
    }
}

/// An address as keys and events hold it.
pub(crate) fn padded(address: &[u8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..address.len()].copy_from_slice(address);
    bytes
}

impl Zone {
    /// Sets window and rate of alerts.
    pub(crate) fn set_alerts(&mut self, settings: AlertSettings) {
        self.set(names::ALERT_SETTINGS, settings);
    }

    /// Sets the used part of the rate.
    pub(crate) fn set_rate(&mut self, rate: AlertRate) {
        self.set(names::ALERT_RATE, rate);
    }

    /// Returns the used part of the rate.
    pub(crate) fn rate(&self) -> AlertRate {
        let map: Array<_, AlertRate> = self.map(names::ALERT_RATE);
        map.get(&0, 0).unwrap()
    }

    /// Returns the counts of packets that hit an alerting rule, per kind of `Seen`, summed over
    /// CPUs.
    pub(crate) fn alert_counts(&self) -> AlertCounts {
        let map: PerCpuArray<_, AlertCounts> = self.map(names::ALERT_COUNTS);
        let mut sum = AlertCounts::default();
        for of_cpu in map.get(&0, 0).unwrap().iter() {
            sum += *of_cpu;
        }
        sum
    }

    /// The events that have not been read yet.
    pub(crate) fn events(&self) -> Vec<AlertEvent> {
        let mut ring: RingBuf<_> = self.map(names::ALERT_EVENTS);
        let mut events = Vec::new();
        while let Some(item) = ring.next() {
            events.push(AlertEvent::read_from_bytes(&item).unwrap());
        }
        events
    }

    /// A source's window.
    pub(crate) fn window(&self, key: &SourceKey) -> Option<AlertWindow> {
        let map: KernelMap<_, SourceKey, AlertWindow> = self.map(names::ALERT_WINDOWS);
        map.get(key, 0).ok()
    }

    /// How many windows there are.
    pub(crate) fn windows(&self) -> HashMap<SourceKey, AlertWindow> {
        let map: KernelMap<_, SourceKey, AlertWindow> = self.map(names::ALERT_WINDOWS);
        map.iter().map(Result::unwrap).collect()
    }

    /// Replaces a source's window.
    pub(crate) fn set_window(&mut self, key: &SourceKey, window: AlertWindow) {
        let map = self.ebpf_mut().map_mut(names::ALERT_WINDOWS).unwrap();
        let mut map: KernelMap<_, SourceKey, AlertWindow> = map.try_into().unwrap();
        map.insert(key, window, 0).unwrap();
    }

    /// Every source that hit.
    pub(crate) fn hits(&self) -> HashMap<SourceKey, HitCount> {
        let map: KernelMap<_, SourceKey, HitCount> = self.map(names::HITS);
        map.iter().map(Result::unwrap).collect()
    }

    /// Sets how many hits every CPU has seen in a tick.
    pub(crate) fn set_budgets(&mut self, budget: HitBudget) {
        let map = self.ebpf_mut().map_mut(names::HIT_BUDGET).unwrap();
        let mut map: PerCpuArray<_, HitBudget> = map.try_into().unwrap();
        let cpus = nr_cpus().unwrap();
        let budgets = PerCpuValues::try_from(vec![budget; cpus]).unwrap();
        map.set(0, budgets, 0).unwrap();
    }

    fn set<V: Pod>(&mut self, map: &str, value: V) {
        let map = self.ebpf_mut().map_mut(map).unwrap();
        let mut map: Array<_, V> = map.try_into().unwrap();
        map.set(0, value, 0).unwrap();
    }
}
