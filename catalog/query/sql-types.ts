/**
 * The PostgreSQL types that a query on the catalog can meet, and how their values lie in SQLite:
 * bool 0/1, int INTEGER, float8 REAL, numeric and interval TEXT (see `decimal.ts`, `interval.ts`), timestamps and dates TEXT
 * that sorts by time, the rest TEXT as PostgreSQL prints it.
 */
export type SqlType =
  | 'bool' | 'int4' | 'int8' | 'numeric' | 'float8' | 'text' | 'varchar' | 'uuid' | 'timestamp' | 'timestamptz' | 'date' | 'interval' | 'json' | 'bytea'
  // A string literal or NULL whose type the context gives.
  | 'unknown';

const typeOids: Readonly<Record<SqlType, number>> = {
  bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, json: 114, float8: 701, varchar: 1043, date: 1082, timestamp: 1114, timestamptz: 1184,
  interval: 1186, numeric: 1700, uuid: 2950, unknown: 25,
};

export function typeOid(type: SqlType): number {
  return typeOids[type];
}

/** As error messages of the server write it. */
export const typeTitles: Readonly<Record<SqlType, string>> = {
  bool: 'boolean', bytea: 'bytea', int8: 'bigint', int4: 'integer', text: 'text', json: 'json', float8: 'double precision',
  varchar: 'character varying', date: 'date', timestamp: 'timestamp without time zone', timestamptz: 'timestamp with time zone',
  interval: 'interval', numeric: 'numeric', uuid: 'uuid', unknown: 'unknown',
};

/** Names after `::`, as the grammar leaves them (without `pg_catalog`). */
const typeNames: Readonly<Record<string, SqlType>> = {
  bool: 'bool', boolean: 'bool', int2: 'int4', int4: 'int4', int: 'int4', integer: 'int4', smallint: 'int4', int8: 'int8', bigint: 'int8',
  numeric: 'numeric', decimal: 'numeric', float4: 'float8', float8: 'float8', text: 'text', varchar: 'varchar', uuid: 'uuid',
  timestamp: 'timestamp', timestamptz: 'timestamptz', date: 'date', interval: 'interval', json: 'json',
};

export function typeByName(name: string): SqlType | undefined {
  return Object.hasOwn(typeNames, name) ? typeNames[name] : undefined;
}

export type TypeCategory = 'number' | 'string' | 'time' | 'bool' | 'interval' | 'uuid' | 'json' | 'bytea';

export function category(type: SqlType): TypeCategory {
  switch (type) {
    case 'int4':
    case 'int8':
    case 'numeric':
    case 'float8':
      return 'number';
    case 'text':
    case 'varchar':
    case 'unknown':
      return 'string';
    case 'timestamp':
    case 'timestamptz':
    case 'date':
      return 'time';
    case 'bool':
    case 'interval':
    case 'uuid':
    case 'json':
    case 'bytea':
      return type;
    default:
      return type satisfies never;
  }
}

/** Order in which PostgreSQL promotes the members of a category implicitly. */
const promotion: readonly SqlType[] = ['int4', 'int8', 'numeric', 'float8', 'date', 'timestamp', 'timestamptz'];

/** The type both become when they meet in a comparison, a CASE or a UNION; undefined when PostgreSQL has none. */
export function meetingType(a: SqlType, b: SqlType): SqlType | undefined {
  if (a === b) return a;
  if (a === 'unknown') return b;
  if (b === 'unknown') return a;
  if (category(a) !== category(b)) return undefined;
  // Either converts to the other, so the first one stays (manual §10.5).
  if (category(a) === 'string') return a;
  return promotion[Math.max(promotion.indexOf(a), promotion.indexOf(b))];
}
