-- A meter.
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL UNIQUE CHECK (length(device) = 6),
    name TEXT NOT NULL DEFAULT '',
    last_collected_ms INTEGER
) STRICT;

-- One life of a meter's store. `cursor` is the first number not held yet; `event_cursor` the first event not asked for;
-- `count_max` the largest count of a block, which bounds the search for overlaps.
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device,
    store BLOB NOT NULL CHECK (length(store) = 8),
    cursor INTEGER NOT NULL DEFAULT 0,
    event_cursor INTEGER NOT NULL DEFAULT 0,
    count_max INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, store)
) STRICT;

-- Blocks as they came. The columns beside `bytes` repeat the block's header, for the index.
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    history INTEGER NOT NULL REFERENCES history,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    kind INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX block_cover ON block (history, first, count, kind, boot, uptime_ms, interval_ms);

-- What is known of each boot: its extent in uptime and, from receipts, the least of (UTC at receipt − uptime).
CREATE TABLE boot (
    history INTEGER NOT NULL REFERENCES history,
    boot INTEGER NOT NULL,
    first_uptime_ms INTEGER NOT NULL,
    last_uptime_ms INTEGER NOT NULL,
    received_offset_ms INTEGER,
    PRIMARY KEY (history, boot)
) STRICT, WITHOUT ROWID;

-- The meter's event log; `what` is the JSON of the device API.
CREATE TABLE event (
    history INTEGER NOT NULL REFERENCES history,
    number INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (history, number)
) STRICT, WITHOUT ROWID;

-- The events that told the time, ready for the time line.
CREATE TABLE anchor (
    history INTEGER NOT NULL REFERENCES history,
    number INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    utc_ms INTEGER NOT NULL,
    uncertainty_ms INTEGER NOT NULL,
    PRIMARY KEY (history, number)
) STRICT, WITHOUT ROWID;

-- The same numbers with different content: both blocks are kept.
CREATE TABLE conflict (
    history INTEGER NOT NULL REFERENCES history,
    first INTEGER NOT NULL,
    held INTEGER NOT NULL REFERENCES block,
    arrived INTEGER NOT NULL REFERENCES block,
    found_ms INTEGER NOT NULL,
    PRIMARY KEY (held, arrived)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
