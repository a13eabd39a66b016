/** Types of local as a server spells them (`format_type`), and what its catalogs say about each. */

export interface LocalType {
  /** `numeric`, `character varying` …: without modifiers. */
  readonly name: LocalTypeName;
  /** Can be put behind `::`, and equals what local's catalogs will say. */
  readonly spelled: string;
  readonly modifiers: readonly number[];
}

interface TypeRow {
  readonly base: string;
  readonly oid: number;
  readonly length: number;
  readonly storage: 'plain' | 'extended' | 'main';
}

const fixed = (base: string, oid: number, length: number): TypeRow => ({ base: `pg_catalog.${base}`, oid, length, storage: 'plain' });
const varying = (base: string, oid: number, storage: TypeRow['storage'] = 'extended'): TypeRow => ({ base: `pg_catalog.${base}`, oid, length: -1, storage });

export const localTypes = {
  boolean: fixed('bool', 16, 1), smallint: fixed('int2', 21, 2), integer: fixed('int4', 23, 4), bigint: fixed('int8', 20, 8), numeric: varying('numeric', 1700, 'main'),
  real: fixed('float4', 700, 4), 'double precision': fixed('float8', 701, 8), text: varying('text', 25), 'character varying': varying('varchar', 1043), character: varying('bpchar', 1042),
  bytea: varying('bytea', 17), date: fixed('date', 1082, 4), timestamp: fixed('timestamp', 1114, 8), timestamptz: fixed('timestamptz', 1184, 8), time: fixed('time', 1083, 8),
  interval: fixed('interval', 1186, 16), bit: varying('bit', 1560), jsonb: varying('jsonb', 3802), json: varying('json', 114), uuid: fixed('uuid', 2950, 16), inet: varying('inet', 869, 'main'),
  'text[]': varying('_text', 1009),
} as const satisfies Readonly<Record<string, TypeRow>>;

export type LocalTypeName = keyof typeof localTypes;

const aliases: Readonly<Record<string, LocalTypeName>> = {
  bool: 'boolean', int2: 'smallint', int: 'integer', int4: 'integer', int8: 'bigint', decimal: 'numeric', dec: 'numeric', float4: 'real', float8: 'double precision', varchar: 'character varying',
  char: 'character', bpchar: 'character', 'timestamp without time zone': 'timestamp', 'timestamp with time zone': 'timestamptz', 'time without time zone': 'time',
};

const isLocalTypeName = (name: string): name is LocalTypeName => Object.hasOwn(localTypes, name);

/** `varchar(20)`, `timestamp (3) with time zone` … as somebody writes it; undefined for a type that no conversion is known to. */
export function parseLocalType(text: string): LocalType | undefined {
  const [, before = '', inside, behind = ''] = /^\s*([a-z][a-z0-9 ]*?)\s*(?:\(([\d\s,]*)\))?\s*((?:with(?:out)? time zone|\[\s*\])?)\s*$/i.exec(text) ?? [];
  const words = `${before}${behind === '' ? '' : behind.startsWith('[') ? '[]' : ` ${behind}`}`.toLowerCase().replace(/\s+/g, ' ');
  const name = aliases[words] ?? words;
  if (!isLocalTypeName(name)) return undefined;
  return localType(name, ...(inside === undefined ? [] : inside.split(',').map(Number)));
}

export function localType(name: LocalTypeName, ...modifiers: number[]): LocalType {
  const inside = modifiers.length === 0 ? '' : `(${modifiers.join(',')})`;
  switch (name) {
    case 'timestamp': return { name, modifiers, spelled: `timestamp${inside} without time zone` };
    case 'timestamptz': return { name, modifiers, spelled: `timestamp${inside} with time zone` };
    case 'time': return { name, modifiers, spelled: `time${inside} without time zone` };
    case 'numeric': return { name, modifiers, spelled: modifiers.length === 1 ? `numeric(${modifiers[0]},0)` : `numeric${inside}` };
    default: return { name, modifiers, spelled: `${name}${inside}` };
  }
}
