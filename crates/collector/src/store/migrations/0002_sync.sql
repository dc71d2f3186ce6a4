-- A server that readings are sent to.
CREATE TABLE sync_target (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE
) STRICT;

-- A meter's device on a server.
CREATE TABLE sync_device (
    target INTEGER NOT NULL REFERENCES sync_target,
    device INTEGER NOT NULL REFERENCES device,
    server_device TEXT NOT NULL,
    PRIMARY KEY (target, device)
) STRICT, WITHOUT ROWID;

-- Readings first, first + 1, … first + count − 1 of a history, whose timestamps for a server are fixed: those of the first
-- and the last are here, the others lie between them. `sent` of them were acknowledged; `verified` says that all of them
-- were counted on the server.
CREATE TABLE sync_window (
    target INTEGER NOT NULL REFERENCES sync_target,
    history INTEGER NOT NULL REFERENCES history,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL CHECK (last_ms - first_ms >= count - 1),
    boot INTEGER NOT NULL,
    first_uptime_ms INTEGER NOT NULL,
    last_uptime_ms INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL,
    estimated INTEGER NOT NULL CHECK (estimated IN (0, 1)),
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent BETWEEN 0 AND count),
    verified INTEGER NOT NULL DEFAULT 0 CHECK (verified IN (0, 1)),
    PRIMARY KEY (target, history, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX sync_window_begun ON sync_window (target, history, first) WHERE verified = 0;

-- Points that are to be deleted on a server before anything else is sent there.
CREATE TABLE sync_delete (
    target INTEGER NOT NULL REFERENCES sync_target,
    device INTEGER NOT NULL REFERENCES device,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL CHECK (last_ms >= first_ms),
    PRIMARY KEY (target, device, first_ms, last_ms)
) STRICT, WITHOUT ROWID;
