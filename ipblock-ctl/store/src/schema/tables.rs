//! The tables of the database, as SQL.

/// Large values have tables of their own: SQLite rewrites whole rows, and a change of state should
/// not copy megabytes.
pub(super) const TABLES: &str = "
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL CHECK (length(id) = 16)
) STRICT;

-- Last number given out; numbers are never used twice.
CREATE TABLE sequence (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sequence VALUES ('revision', 0), ('rule', 0), ('generation', 0);

-- Shared by all revisions with the same content. `size` stands for what a row costs.
CREATE TABLE ruleset (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    toml TEXT NOT NULL
) STRICT;

CREATE TABLE ruleset_rule (
    ruleset INTEGER NOT NULL REFERENCES ruleset ON DELETE CASCADE,
    name TEXT NOT NULL,
    rule INTEGER NOT NULL,
    PRIMARY KEY (ruleset, name),
    UNIQUE (ruleset, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX ruleset_rule_by_rule ON ruleset_rule (rule);

CREATE TABLE revision (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    rules INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    state TEXT NOT NULL,
    ruleset INTEGER NOT NULL REFERENCES ruleset
) STRICT;
CREATE INDEX revision_by_ruleset ON revision (ruleset);
CREATE UNIQUE INDEX one_revision_in_force ON revision ((1))
    WHERE state IN ('deployed', 'awaiting-confirmation');

CREATE TABLE staged (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    base INTEGER NOT NULL,
    edits INTEGER NOT NULL,
    edit_bytes INTEGER NOT NULL,
    ruleset INTEGER NOT NULL REFERENCES ruleset
) STRICT;

CREATE TABLE staged_edit (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    summary TEXT NOT NULL,
    edit TEXT NOT NULL
) STRICT;

-- `revision` is no reference: a folded generation may outlive its revision.
CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    zone TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    default_verdict TEXT NOT NULL,
    malformed TEXT NOT NULL,
    ipv4_entries INTEGER NOT NULL,
    ipv6_entries INTEGER NOT NULL,
    object_sha256 BLOB NOT NULL,
    time INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_generation_in_force ON generation (zone) WHERE state = 'live';

CREATE TABLE generation_classes (
    generation INTEGER PRIMARY KEY REFERENCES generation ON DELETE CASCADE,
    sha256 BLOB NOT NULL,
    classes BLOB NOT NULL
) STRICT;

-- Base: what folded generations counted.
CREATE TABLE base_rule (
    rule INTEGER PRIMARY KEY,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    excepted INTEGER NOT NULL,
    last_hit INTEGER
) STRICT;

CREATE TABLE base_total (
    zone TEXT NOT NULL,
    outcome TEXT NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (zone, outcome)
) STRICT, WITHOUT ROWID;

-- Checkpoints: what the kernel's counters of a generation said last.
CREATE TABLE checkpoint_rule (
    generation INTEGER NOT NULL REFERENCES generation ON DELETE CASCADE,
    rule INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    excepted INTEGER NOT NULL,
    last_hit INTEGER,
    PRIMARY KEY (generation, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint_total (
    generation INTEGER NOT NULL REFERENCES generation ON DELETE CASCADE,
    outcome TEXT NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (generation, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE interface (
    name TEXT PRIMARY KEY,
    mode TEXT NOT NULL,
    zone TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
";

/// The additions of each version after 2. Do not change a released one: stores have run it.
pub(super) const MIGRATIONS: [&str; 2] = [
    "
-- Bans that have not been cleared away, ended ones too. `ends` is wall time, NULL for never. A ban
-- with a duration also has its end on the boot clock of the boot that it was made in.
CREATE TABLE ban (
    prefix TEXT PRIMARY KEY,
    ends INTEGER,
    boot_id TEXT,
    boot_deadline INTEGER,
    reason TEXT NOT NULL,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    CHECK ((boot_id IS NULL) = (boot_deadline IS NULL))
) STRICT, WITHOUT ROWID;

-- The deployed revision that goes back to `previous` unless it is confirmed. 0: to no ruleset.
CREATE TABLE confirmation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    boot_deadline INTEGER NOT NULL
) STRICT;

-- Ends of rules that were given as durations: they do not move with steps of the wall clock.
CREATE TABLE rule_duration (
    rule INTEGER PRIMARY KEY,
    ends INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    boot_deadline INTEGER NOT NULL
) STRICT;
",
    "
-- AUTOINCREMENT: a reader goes on behind the last id that it saw, also when that alert is gone.
-- `rules` is an array of names as JSON, addresses are 4 or 16 bytes.
CREATE TABLE alert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    zone TEXT NOT NULL,
    interface TEXT NOT NULL,
    rules TEXT NOT NULL,
    action TEXT NOT NULL,
    source BLOB NOT NULL,
    destination BLOB NOT NULL,
    protocol INTEGER NOT NULL,
    destination_port INTEGER,
    packets INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_by_time ON alert (time);
CREATE INDEX alert_by_source ON alert (source);

-- How many rows `alert` has: SQLite would go over all of them to tell.
CREATE TABLE alert_kept (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    rows INTEGER NOT NULL
) STRICT;
INSERT INTO alert_kept VALUES (1, 0);

-- Packets that alerts told of, as long as the kernel's counts are those of this boot and map.
CREATE TABLE alert_total (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot_id TEXT NOT NULL,
    map INTEGER NOT NULL,
    reported INTEGER NOT NULL,
    lost INTEGER NOT NULL
) STRICT;
",
];

/// Added to a store of any version. Builds that do not know the table ignore it, and its rows are
/// deleted with their entries.
const AUDIT_PREFIXES: &str = "
-- Every prefix of an audit entry about bans: see audit_prefixes.rs. `size` is that of `prefixes`.
CREATE TABLE IF NOT EXISTS audit_prefixes (
    entry INTEGER PRIMARY KEY REFERENCES audit (number) ON DELETE CASCADE,
    size INTEGER NOT NULL,
    prefixes BLOB NOT NULL
) STRICT;
";

/// Added to a store of any version. Builds that do not know the table ignore it: it is a record of
/// this machine, as the audit trail is.
const PAST_BANS: &str = "
-- Bans that are gone: see past_bans.rs. `until` is the end that a ban had, NULL for never. No author
-- of the end: it ended by itself.
CREATE TABLE IF NOT EXISTS past_ban (
    number INTEGER PRIMARY KEY,
    prefix BLOB NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    until INTEGER,
    ended INTEGER NOT NULL,
    ended_uid INTEGER,
    ended_author TEXT,
    CHECK ((ended_uid IS NULL) = (ended_author IS NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS past_ban_by_prefix ON past_ban (prefix);
";

/// The addition of [`VERSION`](super::VERSION); older builds ignore an empty table. They know one ban of a prefix,
/// so that of origin `manual` stays in `ban`, and a store without others can go back to them.
const OWNED_BANS: &str = "
CREATE TABLE IF NOT EXISTS owned_ban (
    prefix TEXT NOT NULL,
    ends INTEGER,
    boot_id TEXT,
    boot_deadline INTEGER,
    reason TEXT NOT NULL,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin <> 'manual'),
    PRIMARY KEY (prefix, origin),
    CHECK ((boot_id IS NULL) = (boot_deadline IS NULL))
) STRICT, WITHOUT ROWID;
";

/// Added to a store of any version, as [`AUDIT_PREFIXES`] is.
const BAN_COUNT: &str = "
-- Checkpoints: what the kernel's counters of bans said last. The row goes with the last ban of its
-- prefix: see ban_counts.rs.
CREATE TABLE IF NOT EXISTS ban_count (
    prefix TEXT PRIMARY KEY,
    packets INTEGER NOT NULL,
    last_hit INTEGER
) STRICT, WITHOUT ROWID;
";

/// The additions of [`WITH_PIECES`](super::WITH_PIECES); older builds ignore empty tables.
const PIECES: &str = "
-- Where a ruleset has pieces, they are its text, and `toml` is empty.
CREATE TABLE IF NOT EXISTS piece (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS ruleset_piece (
    ruleset INTEGER NOT NULL REFERENCES ruleset ON DELETE CASCADE,
    place INTEGER NOT NULL,
    piece INTEGER NOT NULL REFERENCES piece,
    PRIMARY KEY (ruleset, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ruleset_piece_by_piece ON ruleset_piece (piece);
";

/// Tables that a store of any version gets.
pub(super) const ADDED: [&str; 5] = [PIECES, OWNED_BANS, PAST_BANS, AUDIT_PREFIXES, BAN_COUNT];
