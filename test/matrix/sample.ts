/**
 * A schema with one of everything that all versions up to `low` know, its rows, and changes to them. `low` is the older of the two
 * servers: what it lacks is left out, and the preflight's refusals of such things are tested by themselves.
 */

/** The tables of the sample in an order in which parents come before children. */
export const sampleTables = ['kinds', 'parent', 'child', 'event', 'keyless', 'by_index', 'listed'] as const;
export type SampleTable = (typeof sampleTables)[number];

interface Kind {
  readonly name: string;
  readonly type: string;
  /** Three values, as SQL. */
  readonly values: readonly [string, string, string];
  readonly from?: number;
}

const kinds: readonly Kind[] = [
  { name: 'b', type: 'boolean', values: ['true', 'false', 'NULL'] },
  { name: 'i2', type: 'smallint', values: ['-32768', '32767', '0'] },
  { name: 'i8', type: 'bigint', values: ['-9223372036854775808', '9223372036854775807', '0'] },
  { name: 'f4', type: 'real', values: ["'NaN'", '1.17549435e-38', '0.1'] },
  { name: 'f8', type: 'double precision', values: ["'-Infinity'", '4.9e-324', '1e130 / 3'] },
  { name: 'n', type: 'numeric', values: ["'NaN'", '123456789012345678901234567890.000000000001', '1.10'] },
  { name: 'n2', type: 'numeric(20,5)', values: ['-0.00001', '12345.67890', '0'] },
  { name: 'm', type: 'money', values: ['12.34', '-12.34', '0'] },
  { name: 'tx', type: 'text', values: ["E'tab\\t nl\\n bs\\\\ \\u20ac'", "''", "repeat('ü', 3000)"] },
  { name: 'vc', type: 'varchar(9)', values: ["'v'", "''", "'123456789'"] },
  { name: 'c', type: 'char(5)', values: ["'ab'", "''", "'12345'"] },
  { name: 'q', type: '"char"', values: ["'x'", "''", "'1'"] },
  { name: 'nm', type: 'name', values: ["'a'", "'A b'", "'x''y'"] },
  { name: 'by', type: 'bytea', values: ["'\\x00ff5c0a'", "''", "decode(repeat('00', 3000), 'hex')"] },
  { name: 'd', type: 'date', values: ["'4713-01-01 BC'", "'5874897-12-31'", "'infinity'"] },
  { name: 'ti', type: 'time', values: ["'24:00'", "'00:00'", "'01:02:03.000004'"] },
  { name: 'tz', type: 'timetz', values: ["'12:00:00.1+15:59'", "'00:00-15:59'", "'01:02:03+05:30'"] },
  { name: 'ts', type: 'timestamp', values: ["'infinity'", "'-infinity'", "'1999-12-31 23:59:59.999999'"] },
  { name: 'tstz', type: 'timestamptz', values: ["'2024-02-29 23:59:59.999999+14'", "'0001-01-01 00:00:00+00 BC'", "'2024-03-31 01:30:00+01'"] },
  { name: 'iv', type: 'interval', values: ["'-1 year 2 mons -3 days 04:05:06.789'", "'178000000 years'", "'0'"] },
  { name: 'u', type: 'uuid', values: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-000000000000'", 'NULL'] },
  { name: 'j', type: 'json', values: ["'{\"b\" : 1.10,  \"a\": [null]}'", "'null'", "'\"\\\\u20ac\"'"] },
  { name: 'jb', type: 'jsonb', values: ["'{\"b\": 1.10, \"a\": [null]}'", "'null'", "'[]'"] },
  { name: 'x', type: 'xml', values: ["'<a>x</a>'", "''", 'NULL'] },
  { name: 'ip', type: 'inet', values: ["'::1/64'", "'255.255.255.255'", "'10.0.0.1/24'"] },
  { name: 'ci', type: 'cidr', values: ["'10.0.0.0/8'", "'::/0'", 'NULL'] },
  { name: 'ma', type: 'macaddr', values: ["'08:00:2b:01:02:03'", "'ff:ff:ff:ff:ff:ff'", 'NULL'] },
  { name: 'ma8', type: 'macaddr8', values: ["'08:00:2b:01:02:03:04:05'", "'ff:ff:ff:ff:ff:ff:ff:ff'", 'NULL'] },
  { name: 'bt', type: 'bit(3)', values: ["B'101'", "B'000'", 'NULL'] },
  { name: 'vb', type: 'bit varying', values: ["B''", "B'1'", 'NULL'] },
  { name: 'ia', type: 'integer[]', values: ["'{1,NULL,3}'", "'{}'", "'[0:1]={1,2}'"] },
  { name: 'ta', type: 'text[]', values: ["'{{a,\"b,c\"},{NULL,\"\"}}'", "'{\"NULL\"}'", 'NULL'] },
  { name: 'fa', type: 'double precision[]', values: ["'{0.1,NaN,-Infinity}'", "'{}'", "'{4.9e-324}'"] },
  { name: 'tsv', type: 'tsvector', values: ["'a:1A b:2'", "''", 'NULL'] },
  { name: 'tsq', type: 'tsquery', values: ["'fat & cat'", "'a <-> b'", 'NULL'] },
  { name: 'p', type: 'point', values: ["'(NaN,Infinity)'", "'(0.1,0.2)'", 'NULL'] },
  { name: 'pg', type: 'polygon', values: ["'((0,0),(1,1),(1,0))'", "'((0,0))'", 'NULL'] },
  { name: 'ir', type: 'int4range', values: ["'[1,)'", "'empty'", "'[1,3)'"] },
  { name: 'tr', type: 'tstzrange', values: ["'[2024-01-01 00:00+00,)'", "'(,)'", 'NULL'] },
  { name: 'ls', type: 'pg_lsn', values: ["'16/B374D848'", "'0/0'", 'NULL'] },
  { name: 'rc', type: 'regclass', values: ["'pg_class'", "'pg_type'", 'NULL'] },
  { name: 'md', type: 's.mood', values: ["'it''s ok'", "'sad'", "'happy'"] },
  { name: 'mda', type: 's.mood[]', values: ["'{sad,happy}'", "'{}'", 'NULL'] },
  { name: 'pr', type: 's.price', values: ['1.5', '0', 'NULL'] },
  { name: 'co', type: 's.pair', values: ["'(1,\"x\"\"y\",1.50)'", "'(,,)'", 'NULL'] },
  { name: 'coa', type: 's.pair[]', values: ["ARRAY['(1,a,2)'::s.pair, NULL]", "'{}'", 'NULL'] },
  { name: 'sp', type: 's.span', values: ["'[1.00,2.50)'", "'empty'", 'NULL'] },
  { name: 'ct', type: 'citext', values: ["'MiXed'", "'mixed'", "''"] },
  { name: 'hs', type: 'hstore', values: ["'a=>1, b=>NULL'", "''", 'NULL'] },
  { name: 'jp', type: 'jsonpath', values: ["'$.a[*]'", "'strict $.b'", 'NULL'], from: 12 },
  { name: 'x8', type: 'xid8', values: ["'1'", "'18446744073709551615'", 'NULL'], from: 13 },
  { name: 'ni', type: 'numeric', values: ["'Infinity'", "'-Infinity'", '0'], from: 14 },
  { name: 'mr', type: 'int4multirange', values: ["'{[1,3),[5,6)}'", "'{}'", 'NULL'], from: 14 },
  { name: 'ns', type: 'numeric(3,-2)', values: ['12300', '-100', 'NULL'], from: 15 },
  { name: 'ivi', type: 'interval', values: ["'infinity'", "'-infinity'", 'NULL'], from: 17 },
];

export function sampleDdl(low: number): string {
  const columns = kinds.filter((kind) => (kind.from ?? 10) <= low);
  return `
    CREATE SCHEMA s; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS hstore;
    CREATE TYPE s.mood AS ENUM ('sad', 'it''s ok', 'happy'); CREATE DOMAIN s.price AS numeric(12,4) CHECK (VALUE >= 0);
    CREATE TYPE s.pair AS (a int, b text, n numeric); CREATE TYPE s.span AS RANGE (SUBTYPE = numeric);
    CREATE TABLE s.kinds (id int PRIMARY KEY, ${columns.map((kind) => `${kind.name} ${kind.type}`).join(', ')});
    CREATE TABLE s.parent (id int GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5) PRIMARY KEY, name citext NOT NULL UNIQUE);
    CREATE TABLE s.child (id bigserial PRIMARY KEY, parent int REFERENCES s.parent ON DELETE CASCADE, v int NOT NULL DEFAULT 7, big text COLLATE "C",
      at timestamptz NOT NULL DEFAULT now()${low >= 12 ? ', twice int GENERATED ALWAYS AS (v * 2) STORED' : ''}${low >= 18 ? ', thrice int GENERATED ALWAYS AS (v * 3)' : ''}, CHECK (v < 1000000));
    ALTER TABLE s.child ALTER big SET STORAGE EXTERNAL; CREATE INDEX child_v ON s.child (v DESC, lower(big)) ${low >= 11 ? 'INCLUDE (at) ' : ''}WHERE v > 0;
    CREATE TABLE s.event (id bigint NOT NULL, day date NOT NULL, kind text${low >= 11 ? ', PRIMARY KEY (id, day)' : ''}) PARTITION BY RANGE (day);
    CREATE TABLE s.event_2024 PARTITION OF s.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    ${low >= 11 ? 'CREATE TABLE s.event_rest PARTITION OF s.event DEFAULT PARTITION BY HASH (id);' : "CREATE TABLE s.event_rest PARTITION OF s.event FOR VALUES FROM ('2025-01-01') TO (MAXVALUE) PARTITION BY LIST (kind);"}
    ${low >= 11
      ? 'CREATE TABLE s.event_rest_0 PARTITION OF s.event_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE s.event_rest_1 PARTITION OF s.event_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);'
      : "CREATE TABLE s.event_rest_0 PARTITION OF s.event_rest FOR VALUES IN ('k0', 'changed'); CREATE TABLE s.event_rest_1 PARTITION OF s.event_rest FOR VALUES IN ('k1', 'k2');"}
    ${low >= 11 ? '' : ['event', 'event_2024', 'event_rest', 'event_rest_0', 'event_rest_1'].map((name) => `ALTER TABLE s.${name} REPLICA IDENTITY FULL;`).join(' ')}
    CREATE TABLE s.keyless (a int, b text, n numeric); ALTER TABLE s.keyless REPLICA IDENTITY FULL;
    CREATE TABLE s.by_index (code varchar(20) NOT NULL, v int); CREATE UNIQUE INDEX by_index_code ON s.by_index (code); ALTER TABLE s.by_index REPLICA IDENTITY USING INDEX by_index_code;
    CREATE TABLE s.listed (code int NOT NULL, region text NOT NULL, v int)${low >= 11 ? ' PARTITION BY LIST (region)' : ''}; ${low >= 11 ? "CREATE TABLE s.listed_eu PARTITION OF s.listed FOR VALUES IN ('eu'); CREATE TABLE s.listed_us PARTITION OF s.listed FOR VALUES IN ('us');" : ''}
    CREATE UNIQUE INDEX listed_key ON s.listed (code, region); ALTER TABLE s.listed REPLICA IDENTITY USING INDEX listed_key;
    ${low >= 11 ? 'ALTER TABLE s.listed_eu REPLICA IDENTITY USING INDEX listed_eu_code_region_idx; ALTER TABLE s.listed_us REPLICA IDENTITY FULL;' : ''}`;
}

export function sampleRows(low: number): string {
  const columns = kinds.filter((kind) => (kind.from ?? 10) <= low);
  const kindsRow = (index: 0 | 1 | 2): string => `(${index + 1}, ${columns.map((kind) => kind.values[index]).join(', ')})`;
  return `
    INSERT INTO s.kinds VALUES ${kindsRow(0)}, ${kindsRow(1)}, ${kindsRow(2)}; INSERT INTO s.kinds (id) SELECT g FROM generate_series(4, 200) g;
    INSERT INTO s.parent (name) SELECT 'Name ' || g FROM generate_series(1, 50) g;
    INSERT INTO s.child (parent, v, big) SELECT 100 + 5 * (g % 50), g, CASE WHEN g % 10 = 0 THEN repeat(md5(g::text), 120) END FROM generate_series(1, 2000) g;
    INSERT INTO s.event SELECT g, date '2024-01-01' + g % 700, 'k' || g % 3 FROM generate_series(1, 1000) g;
    INSERT INTO s.keyless SELECT g % 20, 'x', g % 3 FROM generate_series(1, 300) g; INSERT INTO s.keyless VALUES (NULL, NULL, NULL), (NULL, NULL, NULL);
    INSERT INTO s.by_index SELECT 'c' || g, g FROM generate_series(1, 300) g;
    INSERT INTO s.listed SELECT g, CASE g % 3 WHEN 0 THEN 'us' ELSE 'eu' END, g FROM generate_series(1, 200) g; ANALYZE;`;
}

/** Every kind of change; the same text runs on the source before cutover and on local after it. `round` keeps new keys apart. */
export function sampleChanges(low: number, round: number): string {
  const columns = kinds.filter((kind) => (kind.from ?? 10) <= low);
  const base = round * 10_000;
  const values = columns.map((kind) => kind.values[0]).join(', ');
  return `
    INSERT INTO s.kinds VALUES (${base + 1}, ${values}); UPDATE s.kinds SET (${columns.map((kind) => kind.name).join(', ')}) = ROW(${values}) WHERE id = ${10 + round};
    UPDATE s.kinds SET b = NOT b WHERE id < 4; UPDATE s.kinds SET id = ${base + 2} WHERE id = ${20 + round}; DELETE FROM s.kinds WHERE id = ${30 + round};
    INSERT INTO s.parent (name) VALUES ('New ${round}'); UPDATE s.parent SET name = upper(name::text) WHERE id % 3 = ${round % 3};
    INSERT INTO s.child (parent, v, big) SELECT 105, -g, repeat('z', 4000) FROM generate_series(1, 20) g;
    UPDATE s.child SET v = v + 1 WHERE id % 10 = ${round % 10}; UPDATE s.child SET id = id + ${100_000 * round} WHERE id % 100 = ${round};
    DELETE FROM s.parent WHERE id = ${110 + 5 * round};
    INSERT INTO s.event SELECT g, date '2024-06-01' + g % 400, 'k1' FROM generate_series(${base + 1}, ${base + 50}) g;
    UPDATE s.event SET kind = 'changed' WHERE id % 50 = ${round}${low >= 11 ? '' : " AND kind = 'k0'"}; DELETE FROM s.event WHERE id % 40 = ${round};
    INSERT INTO s.keyless VALUES (${base}, 'new', 1.10), (${base}, 'new', 1.10); UPDATE s.keyless SET b = 'y' WHERE a = ${round}; DELETE FROM s.keyless WHERE a = ${round + 5};
    UPDATE s.by_index SET v = v + 1 WHERE v % 5 = 0; UPDATE s.by_index SET code = 'r${round}-' || code WHERE v % 30 = ${round}; DELETE FROM s.by_index WHERE v % 31 = ${round};
    INSERT INTO s.listed VALUES (${base}, 'eu', 1); UPDATE s.listed SET v = v + 1 WHERE code % 4 = 0; UPDATE s.listed SET code = code + ${base} WHERE code = ${40 + round}; DELETE FROM s.listed WHERE code = ${60 + round};
    ${low >= 11 ? `UPDATE s.listed SET region = CASE region WHEN 'eu' THEN 'us' ELSE 'eu' END WHERE code % 25 = ${round};` : ''}`;
}
