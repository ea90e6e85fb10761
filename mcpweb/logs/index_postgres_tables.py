"""The tables of the log index in PostgreSQL."""

from __future__ import annotations

from mcpweb.logs.index import OFFSET_BITS
from mcpweb.logs.query import COLUMNS
from mcpweb.logs.tally import SPAN_MS

SCHEMA = "mcpweb_logs"
LINES = f"{SCHEMA}.line"
_TEXTS = ", ".join(f"{name} text NOT NULL" for name in COLUMNS)
CREATE = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {LINES} (
    id bigint NOT NULL, ts bigint NOT NULL, {_TEXTS}, line text NOT NULL, words tsvector NOT NULL, PRIMARY KEY (id, ts)
) PARTITION BY RANGE (ts);
CREATE INDEX IF NOT EXISTS line_newest ON {LINES} (ts DESC, id DESC);
CREATE INDEX IF NOT EXISTS line_instance ON {LINES} (instance, ts);
CREATE INDEX IF NOT EXISTS line_request ON {LINES} (request_id);
CREATE INDEX IF NOT EXISTS line_level ON {LINES} (category, level, ts);
CREATE INDEX IF NOT EXISTS line_words ON {LINES} USING gin (words);
CREATE INDEX IF NOT EXISTS line_trouble ON {LINES} (level, ts, id)
INCLUDE (category, host, user_id, instance, service, tool, outcome) WHERE level <> 'info';
CREATE INDEX IF NOT EXISTS line_user ON {LINES} (user_id, ts) WHERE user_id <> '';
CREATE INDEX IF NOT EXISTS line_tool ON {LINES} (tool, ts) WHERE tool <> '';
CREATE INDEX IF NOT EXISTS line_outcome ON {LINES} (outcome, ts) WHERE outcome NOT IN ('', 'ok');
"""
TALLIES = f"{SCHEMA}.tally"
CREATE_TALLIES = f"""
CREATE TABLE {TALLIES} (
    span bigint, file_id bigint, category text, level text, host text, lines integer NOT NULL,
    PRIMARY KEY (span, file_id, category, level, host)
);
LOCK TABLE {LINES} IN SHARE MODE;
INSERT INTO {TALLIES} SELECT ts / {SPAN_MS}, id >> {OFFSET_BITS}, category, level, host, count(*)
FROM {LINES} GROUP BY 1, 2, 3, 4, 5;
"""
ADD_TALLY = f"""
INSERT INTO {TALLIES} VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (span, file_id, category, level, host) DO UPDATE SET lines = tally.lines + excluded.lines
"""
