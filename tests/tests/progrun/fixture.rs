//! The content of a zone's maps, written by hand.

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, LpmTrie, lpm_trie::Key},
    programs::Xdp,
};
use ipblock_common::{
    AlertSettings, BanEntry, BanGate, Class, ClassId, ClassVerdict, Outcome,
    ban::{self, SHARED_SLOT},
    names,
};
use ipblock_datapath::{Lookup, lookup_maps::Content, object::load_program};
use ipblock_policy::compile::CompiledZone;
use ipblock_tests::{
    Privileged,
    packet::{Ipv4, Ipv6},
};
use ipnet::IpNet;

use crate::{
    object,
    zone::{Expected, Zone},
};

/// A zone before it is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) default_drop: bool,
    pub(crate) malformed_drop: bool,
    /// Whether the program logs through aya-log.
    pub(crate) log: bool,
    /// By class id.
    classes: Vec<Class>,
    entries: Vec<(IpNet, ClassId)>,
    /// Prefix and deadline, in nanoseconds of the boot clock.
    bans: Vec<(IpNet, BanEntry)>,
    /// Whether entries are in tables or tries.
    lookup: Lookup,
    /// The generation's number.
    generation: u64,
    alerts: AlertSettings,
    /// Shared maps that are smaller than usual: name and entries.
    resized: Vec<(&'static str, u32)>,
}

impl Fixture {
    /// No entries; the default is pass, and so is the policy for malformed packets.
    pub(crate) fn empty() -> Self {
        Self {
            default_drop: false,
            malformed_drop: false,
            log: false,
            classes: vec![Class::default()],
            entries: Vec::new(),
            bans: Vec::new(),
            lookup: Lookup::Tables,
            generation: 0,
            alerts: AlertSettings::default(),
            resized: Vec::new(),
        }
    }

    /// One entry of each [`Kind`] in each family; the default is pass.
    pub(crate) fn denylist() -> Self {
        let mut fixture = Self::empty();
        for kind in Kind::ALL {
            if let Some(verdict) = kind.verdict() {
                let id = fixture.class(Class {
                    verdict: verdict.number(),
                    ..Class::default()
                });
                assert_eq!(Some(id), kind.class());
                fixture = fixture
                    .entry(kind.prefix_v4(), id)
                    .entry(kind.prefix_v6(), id);
            }
        }
        fixture
    }

    /// The same entries; the default is drop.
    pub(crate) fn allow_only() -> Self {
        Self {
            default_drop: true,
            ..Self::denylist()
        }
    }

    /// The same zone with `malformed = drop`.
    pub(crate) fn malformed_drop(self) -> Self {
        Self {
            malformed_drop: true,
            ..self
        }
    }

    /// Adds a class and returns its id.
    pub(crate) fn class(&mut self, class: Class) -> ClassId {
        self.classes.push(class);
        ClassId::try_from(self.classes.len() - 1).unwrap()
    }

    /// Adds a class that never expires and returns its id.
    pub(crate) fn verdict(&mut self, verdict: ClassVerdict) -> ClassId {
        self.class(Class {
            verdict: verdict.number(),
            ..Class::default()
        })
    }

    /// Adds a prefix.
    pub(crate) fn entry(mut self, prefix: &str, class: ClassId) -> Self {
        self.entries.push((prefix.parse().unwrap(), class));
        self
    }

    /// Adds an entry to the ban tables.
    pub(crate) fn ban(self, prefix: &str, deadline: u64) -> Self {
        self.counted_ban(prefix, deadline, SHARED_SLOT)
    }

    /// Adds an entry that counts in this slot.
    pub(crate) fn counted_ban(mut self, prefix: &str, deadline: u64, slot: u32) -> Self {
        let entry = BanEntry::new(deadline, slot);
        self.bans.push((prefix.parse().unwrap(), entry));
        self
    }

    /// Adds a class that never expires and whose rules alert, and returns its id.
    pub(crate) fn alerting(&mut self, verdict: ClassVerdict) -> ClassId {
        self.class(Class {
            verdict: verdict.number(),
            alert: 1,
            ..Class::default()
        })
    }

    /// The same zone in the generation of this number.
    pub(crate) fn generation(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// The same zone with its entries in the other kind of map.
    pub(crate) fn lookup(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// The same zone with alerts on.
    pub(crate) fn alerts(self, alerts: AlertSettings) -> Self {
        Self { alerts, ..self }
    }

    /// The same zone with another size of a shared map.
    pub(crate) fn resized(mut self, map: &'static str, entries: u32) -> Self {
        self.resized.push((map, entries));
        self
    }

    /// Loads the program with these maps.
    pub(crate) fn load(&self, _root: Privileged) -> Zone {
        let size = |length: usize| u32::try_from(length.max(1)).unwrap();
        let compiled = self.compiled();
        let content = Content::of(&compiled, self.lookup, 7);
        let mut loader = EbpfLoader::new();
        content.lay_out(&mut loader);
        for &(map, entries) in &self.resized {
            loader.map_max_entries(map, entries);
        }
        let mut ebpf = loader
            .override_global(names::GENERATION, &self.generation, true)
            .override_global(names::DEFAULT_DROP, &u8::from(self.default_drop), true)
            .override_global(names::MALFORMED_DROP, &u8::from(self.malformed_drop), true)
            .override_global("AYA_LOG_LEVEL", &(u8::from(self.log) * u8::MAX), true)
            .map_max_entries(names::CLASSES, size(self.classes.len()))
            .map_max_entries(names::CLASS_COUNTS, size(self.classes.len()))
            .load(object::bytes())
            .unwrap();

        let mut classes: Array<_, Class> =
            Array::try_from(ebpf.map_mut(names::CLASSES).unwrap()).unwrap();
        for (id, class) in (0..).zip(&self.classes) {
            classes.set(id, class, 0).unwrap();
        }
        content.fill(&mut ebpf).unwrap();
        for &(prefix, entry) in &self.bans {
            let tables = [names::BANS_IPV4, names::BANS_IPV6];
            insert(&mut ebpf, tables, prefix, entry);
        }
        self.let_bans_be_asked(&mut ebpf);
        let program: &mut Xdp = ebpf
            .program_mut(names::PROGRAM)
            .unwrap()
            .try_into()
            .unwrap();
        load_program(program).unwrap();
        let mut zone = Zone::new(ebpf, self.classes.len());
        zone.set_alerts(self.alerts);
        zone
    }
}

impl Fixture {
    /// The entries as the compiler would give them.
    fn compiled(&self) -> CompiledZone {
        let mut zone = CompiledZone::empty();
        for &(prefix, class) in &self.entries {
            match prefix {
                IpNet::V4(net) => zone.ipv4.push((net, class)),
                IpNet::V6(net) => zone.ipv6.push((net, class)),
            }
        }
        zone.ipv4.sort_unstable();
        zone.ipv6.sort_unstable();
        zone
    }

    /// Sets the bits of the banned sources in the ban filter.
    fn let_bans_be_asked(&self, ebpf: &mut Ebpf) {
        if self.bans.is_empty() {
            return;
        }
        for (prefix, _) in &self.bans {
            match prefix {
                IpNet::V4(net) => {
                    let map = ebpf.map_mut(names::BAN_FILTER_V4).unwrap();
                    let mut filter: Array<_, u64> = Array::try_from(map).unwrap();
                    let [first, last] = [net.network(), net.broadcast()]
                        .map(|address| ban::place_of_24(address.to_bits()));
                    (first.word..=last.word)
                        .for_each(|word| filter.set(word, u64::MAX, 0).unwrap());
                }
                IpNet::V6(net) => {
                    let map = ebpf.map_mut(names::BAN_FILTER_V6).unwrap();
                    let mut filter: Array<_, u64> = Array::try_from(map).unwrap();
                    let upper = (net.network().to_bits() >> 64) as u64;
                    let place = ban::place_of_64(upper);
                    filter.set(place.word, u64::MAX, 0).unwrap();
                }
            }
        }
        let map = ebpf.map_mut(names::BAN_GATE).unwrap();
        let is_wide = |prefix: &IpNet| matches!(prefix, IpNet::V6(net) if net.prefix_len() < 64);
        let open = BanGate {
            v4: 1,
            v6: 1,
            wide_v6: self.bans.iter().any(|(prefix, _)| is_wide(prefix)).into(),
            ..BanGate::default()
        };
        Array::<_, BanGate>::try_from(map)
            .unwrap()
            .set(0, open, 0)
            .unwrap();
    }
}

/// Adds an entry to the trie of the prefix's family.
fn insert<V: aya::Pod>(ebpf: &mut Ebpf, [ipv4, ipv6]: [&str; 2], prefix: IpNet, value: V) {
    let length = u32::from(prefix.prefix_len());
    match prefix {
        IpNet::V4(prefix) => {
            let mut trie = LpmTrie::try_from(ebpf.map_mut(ipv4).unwrap()).unwrap();
            let key = Key::new(length, prefix.network().octets());
            trie.insert(&key, value, 0).unwrap();
        }
        IpNet::V6(prefix) => {
            let mut trie = LpmTrie::try_from(ebpf.map_mut(ipv6).unwrap()).unwrap();
            let key = Key::new(length, prefix.network().octets());
            trie.insert(&key, value, 0).unwrap();
        }
    }
}

/// The kind of a source for [`Fixture::denylist`] and [`Fixture::allow_only`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Blocked,
    Warned,
    Allowed,
    /// It only has matching rules with an exception for it.
    Spared,
    Unlisted,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Blocked,
        Self::Warned,
        Self::Allowed,
        Self::Spared,
        Self::Unlisted,
    ];

    /// A packet from such a source.
    pub(crate) fn v4(self) -> Ipv4 {
        Ipv4::from(match self {
            Self::Blocked => "203.0.113.7",
            Self::Warned => "203.0.113.71",
            Self::Allowed => "203.0.113.135",
            Self::Spared => "203.0.113.199",
            Self::Unlisted => "198.51.100.7",
        })
    }

    /// A packet from such a source.
    pub(crate) fn v6(self) -> Ipv6 {
        Ipv6::from(match self {
            Self::Blocked => "2001:db8:b::7",
            Self::Warned => "2001:db8:c::7",
            Self::Allowed => "2001:db8:a::7",
            Self::Spared => "2001:db8:e::7",
            Self::Unlisted => "2001:db8:1::7",
        })
    }

    /// Returns its verdict if the default is `pass`.
    pub(crate) fn where_default_passes(self) -> Expected {
        let expected = match self {
            Self::Blocked => Expected::DROPPED,
            Self::Warned => Expected::pass(Outcome::Warned),
            Self::Allowed => Expected::pass(Outcome::Allowed),
            Self::Spared | Self::Unlisted => Expected::PASSED,
        };
        self.counted(expected)
    }

    /// Returns its verdict if the default is `drop`.
    pub(crate) fn where_default_drops(self) -> Expected {
        self.counted(match self {
            Self::Allowed => Expected::pass(Outcome::Allowed),
            Self::Blocked | Self::Warned | Self::Spared | Self::Unlisted => Expected::DROPPED,
        })
    }

    fn counted(self, expected: Expected) -> Expected {
        match self.class() {
            Some(id) => expected.class(id),
            None => expected,
        }
    }

    /// The class that counts it.
    pub(crate) fn class(self) -> Option<ClassId> {
        match self {
            Self::Blocked => Some(1),
            Self::Warned => Some(2),
            Self::Allowed => Some(3),
            Self::Spared => Some(4),
            Self::Unlisted => None,
        }
    }

    fn verdict(self) -> Option<ClassVerdict> {
        match self {
            Self::Blocked => Some(ClassVerdict::Block),
            Self::Warned => Some(ClassVerdict::Warn),
            Self::Allowed => Some(ClassVerdict::Allow),
            Self::Spared => Some(ClassVerdict::Default),
            Self::Unlisted => None,
        }
    }

    fn prefix_v4(self) -> &'static str {
        match self {
            Self::Blocked => "203.0.113.0/26",
            Self::Warned => "203.0.113.64/26",
            Self::Allowed => "203.0.113.128/26",
            Self::Spared => "203.0.113.192/26",
            Self::Unlisted => "198.51.100.0/24",
        }
    }

    fn prefix_v6(self) -> &'static str {
        match self {
            Self::Blocked => "2001:db8:b::/48",
            Self::Warned => "2001:db8:c::/48",
            Self::Allowed => "2001:db8:a::/48",
            Self::Spared => "2001:db8:e::/48",
            Self::Unlisted => "2001:db8:1::/48",
        }
    }
}
