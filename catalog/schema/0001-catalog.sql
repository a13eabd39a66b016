-- The catalog, version 1.
--
-- Tables named SYS$MIGRATION_… are those of the specification (§2.4, §4.4, §6.3, §9.3, §11.2) and can be read by any
-- operator with ordinary SELECTs; the others are internal. Type names end in _TEXT where SQLite would otherwise give the
-- column numeric affinity and turn a text such as '1.0' into a number. Timestamps are 'YYYY-MM-DD HH:MM:SS.mmm' in UTC:
-- they sort and compare as text.

CREATE TABLE "SYS$MIGRATION_STATE" (
  table_id            UUID_TEXT PRIMARY KEY NOT NULL,
  source_server       VARCHAR(128) NOT NULL,
  source_schema       VARCHAR(128) NOT NULL,
  source_table        VARCHAR(128) NOT NULL,
  target_schema       VARCHAR(128) NOT NULL,
  target_table        VARCHAR(128) NOT NULL,
  state               VARCHAR(32) NOT NULL CHECK (state IN ('NOT_STARTED', 'BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE',
                        'CUTOVER_READY', 'LOCAL_ONLY', 'ROLLBACK', 'PAUSED', 'ERROR')),
  state_changed_at    TIMESTAMP_TEXT NOT NULL,
  bulk_rows_total     BIGINT,
  bulk_rows_migrated  BIGINT,
  cdc_position        VARCHAR(256),
  cdc_lag_ms          INTEGER,
  last_error          VARCHAR(1024),
  options             JSON_TEXT,
  created_at          TIMESTAMP_TEXT NOT NULL,
  updated_at          TIMESTAMP_TEXT NOT NULL
);
CREATE INDEX idx_migration_state_server ON "SYS$MIGRATION_STATE" (source_server);
CREATE INDEX idx_migration_state_state ON "SYS$MIGRATION_STATE" (state);
CREATE INDEX idx_migration_state_name ON "SYS$MIGRATION_STATE" (source_schema, source_table);

CREATE TABLE "SYS$MIGRATION_CHECKPOINTS" (
  migration_id        UUID_TEXT PRIMARY KEY NOT NULL,
  checkpoint_data     BLOB NOT NULL,
  created_at          TIMESTAMP_TEXT NOT NULL
);

CREATE TABLE "SYS$MIGRATION_CONFLICTS" (
  conflict_id          UUID_TEXT PRIMARY KEY NOT NULL,
  table_id             UUID_TEXT NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  primary_key_json     JSON_TEXT NOT NULL,
  local_values_json    JSON_TEXT,
  remote_values_json   JSON_TEXT,
  local_timestamp      TIMESTAMP_TEXT,
  remote_timestamp     TIMESTAMP_TEXT,
  resolution_strategy  VARCHAR(32) NOT NULL,
  resolved_values_json JSON_TEXT,
  detected_at          TIMESTAMP_TEXT NOT NULL,
  resolved_at          TIMESTAMP_TEXT
);
CREATE INDEX idx_migration_conflicts_table ON "SYS$MIGRATION_CONFLICTS" (table_id, detected_at);

CREATE TABLE "SYS$MIGRATION_HISTORY" (
  event_id            UUID_TEXT PRIMARY KEY NOT NULL,
  table_id            UUID_TEXT NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  event_type          VARCHAR(32) NOT NULL CHECK (event_type IN ('state_change', 'error', 'checkpoint', 'validation')),
  old_state           VARCHAR(32),
  new_state           VARCHAR(32),
  details             JSON_TEXT,
  created_at          TIMESTAMP_TEXT NOT NULL
);
CREATE INDEX idx_migration_history_table ON "SYS$MIGRATION_HISTORY" (table_id, created_at);

CREATE TABLE "SYS$MIGRATION_CDC_POSITIONS" (
  source_server       VARCHAR(128) NOT NULL,
  table_name          VARCHAR(256) NOT NULL,
  cdc_type            VARCHAR(32) NOT NULL,
  position_data       JSON_TEXT NOT NULL,
  updated_at          TIMESTAMP_TEXT NOT NULL,
  PRIMARY KEY (source_server, table_name)
);

CREATE TABLE "SYS$MIGRATION_AUDIT" (
  audit_id            UUID_TEXT PRIMARY KEY NOT NULL,
  "timestamp"         TIMESTAMP_TEXT NOT NULL,
  user_id             UUID_TEXT NOT NULL,
  action              VARCHAR(64) NOT NULL,
  table_id            UUID_TEXT,
  source_server       VARCHAR(128),
  details             JSON_TEXT,
  client_ip           VARCHAR(45),
  session_id          UUID_TEXT
);
CREATE INDEX idx_migration_audit_time ON "SYS$MIGRATION_AUDIT" ("timestamp");

-- Internal from here on.

CREATE TABLE setting (
  name  TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
);

-- One row: who may write. `token` only grows; every write is made under the token it was given.
CREATE TABLE control_owner (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  token       INTEGER NOT NULL,
  pid         INTEGER,
  host        TEXT,
  label       TEXT,
  acquired_at TEXT
);
INSERT INTO control_owner (id, token) VALUES (1, 0);

-- One row per change of routing; the largest epoch is the one in force.
CREATE TABLE epoch (
  epoch      INTEGER PRIMARY KEY,
  reason     TEXT NOT NULL,
  table_ids  TEXT NOT NULL,
  token      INTEGER NOT NULL,
  created_at TEXT NOT NULL
);

-- What a table's migration needs beyond the specification's columns. `ended_at`: aborted, the state row is only kept for its
-- history; `completed_at`: the rollback window was closed by COMPLETE.
CREATE TABLE table_internals (
  table_id           TEXT PRIMARY KEY NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  source_name        TEXT NOT NULL,
  epoch              INTEGER NOT NULL,
  interrupted_state  TEXT,
  rollback_from      TEXT,
  group_name         TEXT,
  reads              TEXT NOT NULL CHECK (reads IN ('source', 'local')),
  writes             TEXT NOT NULL CHECK (writes IN ('source', 'local')),
  wait_visible       INTEGER NOT NULL,
  track_writes       INTEGER NOT NULL,
  writes_blocked     INTEGER NOT NULL,
  ddl_blocked        INTEGER NOT NULL,
  quiescing          INTEGER NOT NULL,
  rollback_until     TEXT,
  details            TEXT NOT NULL,
  started_by         TEXT,
  ended_at           TEXT,
  completed_at       TEXT
);

CREATE TABLE authority_interval (
  interval_id   INTEGER PRIMARY KEY,
  table_id      TEXT NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  direction     TEXT NOT NULL CHECK (direction IN ('forward', 'reverse')),
  from_position TEXT NOT NULL,
  to_position   TEXT,
  token         INTEGER NOT NULL,
  opened_at     TEXT NOT NULL,
  closed_at     TEXT
);
-- A table has at most one authority at a time in each direction.
CREATE UNIQUE INDEX idx_authority_open ON authority_interval (table_id, direction) WHERE to_position IS NULL;
CREATE INDEX idx_authority_table ON authority_interval (table_id, interval_id);

-- Attempts of cutovers and rollbacks, one row per attempt, whatever the size of its group.
CREATE TABLE journal (
  attempt_id  TEXT PRIMARY KEY NOT NULL,
  direction   TEXT NOT NULL CHECK (direction IN ('cutover', 'rollback')),
  table_ids   TEXT NOT NULL,
  step        TEXT NOT NULL,
  details     TEXT NOT NULL,
  started_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL,
  finished_at TEXT,
  outcome     TEXT CHECK (outcome IN ('complete', 'undone', 'failed'))
);
CREATE INDEX idx_journal_open ON journal (started_at) WHERE finished_at IS NULL;

CREATE TABLE progress_sample (
  table_id        TEXT NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  at              TEXT NOT NULL,
  state           TEXT NOT NULL,
  rows_total      INTEGER,
  rows_migrated   INTEGER,
  lag_ms          INTEGER,
  pending_changes INTEGER,
  applied_changes INTEGER,
  PRIMARY KEY (table_id, at)
) WITHOUT ROWID;

CREATE TABLE migration_error (
  error_id     INTEGER PRIMARY KEY,
  table_id     TEXT,
  code         TEXT NOT NULL,
  category     TEXT NOT NULL,
  message      TEXT NOT NULL,
  row_key      TEXT,
  source_error TEXT,
  retryable    INTEGER NOT NULL,
  created_at   TEXT NOT NULL
);
CREATE INDEX idx_error_table ON migration_error (table_id, error_id);

CREATE TABLE validation (
  validation_id     TEXT PRIMARY KEY NOT NULL,
  table_id          TEXT NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  mode              TEXT NOT NULL CHECK (mode IN ('full', 'sample')),
  sample_percent    REAL,
  passed            INTEGER,
  source_rows       INTEGER,
  local_rows        INTEGER,
  chunks            INTEGER NOT NULL,
  mismatched_chunks INTEGER NOT NULL,
  mismatched_rows   INTEGER NOT NULL,
  unsettled_rows    INTEGER NOT NULL,
  details           TEXT NOT NULL,
  started_at        TEXT NOT NULL,
  finished_at       TEXT
);
CREATE INDEX idx_validation_table ON validation (table_id, started_at);

CREATE TABLE validation_chunk (
  validation_id   TEXT NOT NULL REFERENCES validation (validation_id) ON DELETE CASCADE,
  chunk_no        INTEGER NOT NULL,
  lower_bound     TEXT,
  upper_bound     TEXT,
  source_checksum TEXT,
  local_checksum  TEXT,
  row_count       INTEGER,
  position        TEXT,
  checked_at      TEXT NOT NULL,
  PRIMARY KEY (validation_id, chunk_no)
) WITHOUT ROWID;

CREATE TABLE server (
  server_name TEXT PRIMARY KEY NOT NULL,
  wrapper     TEXT NOT NULL,
  options     TEXT NOT NULL,
  created_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL
);

-- `secrets`: name of the option → sealed value (see credentials.ts); never the value itself.
CREATE TABLE user_mapping (
  server_name TEXT NOT NULL REFERENCES server (server_name),
  user_name   TEXT NOT NULL,
  options     TEXT NOT NULL,
  secrets     TEXT NOT NULL,
  created_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL,
  PRIMARY KEY (server_name, user_name)
);

CREATE TABLE migration_source (
  source_name TEXT PRIMARY KEY NOT NULL,
  server_name TEXT NOT NULL REFERENCES server (server_name),
  options     TEXT NOT NULL,
  created_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL
);
