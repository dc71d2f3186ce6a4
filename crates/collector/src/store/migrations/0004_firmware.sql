-- Updates that meters took. `boot` and `event` are the boot and the number of the next event when the upload began, in
-- history `store`; `before` is what ran then. `outcome`: 0 on trial, 1 confirmed, 2 left for the firmware before, 3 another
-- update came before anyone saw what became of it.
CREATE TABLE firmware_push (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device,
    store BLOB NOT NULL CHECK (length(store) = 8),
    version TEXT NOT NULL,
    image_hash BLOB NOT NULL CHECK (length(image_hash) = 32),
    before TEXT NOT NULL,
    boot INTEGER NOT NULL,
    event INTEGER NOT NULL,
    pushed_ms INTEGER NOT NULL,
    outcome INTEGER NOT NULL DEFAULT 0 CHECK (outcome BETWEEN 0 AND 3)
) STRICT;
CREATE INDEX firmware_push_of ON firmware_push (device, id);

-- The firmware that a meter said it runs when it was visited last.
ALTER TABLE device ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
