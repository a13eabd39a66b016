-- What the two sides of a table cannot hold alike, by column and kind, and whether an operator has accepted it. `policy` is NULL for a
-- definition; `column_name` is then the name of the default's column, the check, index, key or table.

CREATE TABLE "SYS$MIGRATION_TYPE_LOSS" (
  table_id            UUID_TEXT NOT NULL REFERENCES "SYS$MIGRATION_STATE" (table_id),
  column_name         VARCHAR(128) NOT NULL,
  direction           VARCHAR(16) NOT NULL CHECK (direction IN ('to_local', 'to_source', 'definition')),
  kind                VARCHAR(32) NOT NULL,
  policy              VARCHAR(16),
  lost_values         BIGINT NOT NULL,
  examples            JSON_TEXT NOT NULL,
  first_seen_at       TIMESTAMP_TEXT NOT NULL,
  last_seen_at        TIMESTAMP_TEXT NOT NULL,
  accepted_at         TIMESTAMP_TEXT,
  accepted_by         VARCHAR(128),
  PRIMARY KEY (table_id, column_name, direction, kind)
);
