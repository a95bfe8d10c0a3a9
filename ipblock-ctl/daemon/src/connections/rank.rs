//! Ranks: peers by what they may do, and what each rank may take.

/// Peers that share a number of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rank {
    /// Root.
    Root,
    /// Whoever else may change everything.
    Member,
    /// Whoever may look at everything.
    Viewer,
    /// Everybody else: they get nothing but a refusal.
    Stranger,
    /// Who is being looked up, before it is known which of these they are.
    Unknown,
    /// Who reads the metrics over TCP.
    Scraper,
}

impl Rank {
    /// Those of the API, as metrics list them.
    pub(super) const API: [Self; 5] = [
        Self::Root,
        Self::Member,
        Self::Viewer,
        Self::Stranger,
        Self::Unknown,
    ];

    /// How many connections there may be in all, and of one user.
    ///
    /// All of the API that ask for something stay below the 512 blocking threads of the runtime, of which
    /// each request may take one; with those that are looked up they leave hundreds of the 1,024
    /// descriptors that a process has at least. Root's are many, because each command is one and
    /// scripts start many at once. Scrapers get one page at a time, so they need no threads.
    pub(crate) const fn bounds(self) -> (usize, usize) {
        match self {
            Self::Root => (256, 256),
            Self::Member | Self::Unknown => (128, 64),
            Self::Viewer => (64, 32),
            Self::Stranger => (32, 8),
            Self::Scraper => (16, 16),
        }
    }

    /// As metrics call it.
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

    /// Bytes that the answers of this rank may hold in all, and those of one user.
    ///
    /// Strangers get refusals alone, which need no room; scrapers get one page at a time.
    pub(super) const fn room(self) -> (usize, usize) {
        match self {
            Self::Root => (128 << 20, 128 << 20),
            Self::Member | Self::Viewer => (64 << 20, 32 << 20),
            Self::Stranger | Self::Unknown | Self::Scraper => (0, 0),
        }
    }
}
