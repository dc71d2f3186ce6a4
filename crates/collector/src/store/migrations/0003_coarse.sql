-- Coarse readings: each stands for several numbers. `tier` is 0 at full resolution, 1 where a reading has up to a minute,
-- 2 where it has up to a quarter of an hour; `count` counts numbers, and `interval_ms` is that of one number.
ALTER TABLE block ADD COLUMN tier INTEGER NOT NULL DEFAULT 0 CHECK (tier BETWEEN 0 AND 2);
DROP INDEX block_cover;
CREATE INDEX block_cover ON block (history, first, count, kind, tier, boot, uptime_ms, interval_ms);

-- How many numbers each reading of a window stands for. `count` and `sent` go on counting readings, and `interval_ms` is
-- that of a reading.
ALTER TABLE sync_window ADD COLUMN span INTEGER NOT NULL DEFAULT 1 CHECK (span > 0);
