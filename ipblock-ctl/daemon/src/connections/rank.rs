//! Ranks of peers by their rights, with the limits of each rank.

/// Peers that share a number of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rank {
    /// Root.
    Root,
    /// Another user who may change everything.
    Member,
    /// A user who may view everything.
    Viewer,
    /// Every other user: they only get refusals.
    Stranger,
    /// A user whose rank is being looked up.
    Unknown,
    /// A reader of metrics over TCP.
    Scraper,
}

impl Rank {
    /// The ranks of the API, in the order of metrics.
    pub(super) const API: [Self; 5] = [
        Self::Root,
        Self::Member,
        Self::Viewer,
        Self::Stranger,
        Self::Unknown,
    ];

    /// Returns the maximum of connections in total, and per user.
    ///
    /// All requests of the API stay below the 512 blocking threads of the runtime, because each may
    /// take one. Together with the lookups they leave hundreds of the 1,024 descriptors that a
    /// process has at least. Root has many, because each command is a connection and scripts start
    /// many at once. Scrapers get one page at a time, so they need no threads.
    pub(crate) const fn bounds(self) -> (usize, usize) {
        match self {
            Self::Root => (256, 256),
            Self::Member | Self::Unknown => (128, 64),
            Self::Viewer => (64, 32),
            Self::Stranger => (32, 8),
            Self::Scraper => (16, 16),
        }
    }

    /// Returns its name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Member => "ipblock",
            Self::Viewer => "ipblock-view",
            Self::Stranger => "other",
            Self::Unknown => "unknown",
            Self::Scraper => "scraper",
        }
    }

    /// Returns the maximum memory of the answers of this rank in bytes, in total and per user.
    ///
    /// Strangers only get refusals, which need no memory; scrapers get one page at a time.
    pub(super) const fn room(self) -> (usize, usize) {
        match self {
            Self::Root => (128 << 20, 128 << 20),
            Self::Member | Self::Viewer => (64 << 20, 32 << 20),
            Self::Stranger | Self::Unknown | Self::Scraper => (0, 0),
        }
    }
}
