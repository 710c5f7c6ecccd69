-- The event log. `payload` is byte for byte what the leaf commits to; the columns after it are
-- taken from it when it is written, so that they can be searched.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY,
    salt     BLOB NOT NULL,
    payload  TEXT NOT NULL,
    at       TEXT NOT NULL,
    name     TEXT NOT NULL,
    task     TEXT,
    session  TEXT,
    -- The action's id, of a decision and of its end.
    action   TEXT,
    -- Of a decision: permit, deny or needs_approval.
    verdict  TEXT,
    -- Of a permitted decision: what it set aside in the task's budget, in millionths of a dollar.
    reserved INTEGER,
    -- Of an action's end: what it cost; null when that is not known and all that was set aside counts.
    cost     INTEGER
) STRICT;

CREATE INDEX event_by_name ON event (name, seq);
CREATE INDEX event_by_task ON event (task, seq) WHERE task IS NOT NULL;
CREATE INDEX event_by_session ON event (session, seq) WHERE session IS NOT NULL;
CREATE INDEX event_by_action ON event (action) WHERE action IS NOT NULL;
CREATE INDEX event_by_reservation ON event (seq) WHERE reserved IS NOT NULL;

-- The RFC 6962 hash of each event's leaf, apart from the events so that the tree is quickly rebuilt.
CREATE TABLE leaf (
    seq  INTEGER PRIMARY KEY,
    hash BLOB NOT NULL
) STRICT;

-- Events that cannot be used, with what was found in their place if it had to be replaced.
CREATE TABLE quarantine (
    seq      INTEGER PRIMARY KEY,
    found_at TEXT NOT NULL,
    reason   TEXT NOT NULL,
    salt     BLOB,
    payload  BLOB
) STRICT;
