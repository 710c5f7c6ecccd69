-- What the row said of itself beside its payload, before a mark took its place.
ALTER TABLE quarantine ADD COLUMN name TEXT;
