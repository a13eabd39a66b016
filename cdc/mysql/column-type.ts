/** `COLUMN_TYPE` of information_schema as a value: `int(10) unsigned`, `enum('a','b')`, `decimal(12,2)` … */

export interface ColumnType {
  /** Lower case, aliases resolved: `int`, `varchar`, `geometrycollection` … */
  readonly name: string;
  /** First number in parentheses: characters, bytes, bits, digits, fractional digits of a time, display width of an integer. */
  readonly length: number | undefined;
  /** Second number: digits behind the point. */
  readonly scale: number | undefined;
  readonly unsigned: boolean;
  readonly zerofill: boolean;
  /** Of ENUM and SET, in the order of their numbers. */
  readonly labels: readonly string[];
}

const aliases: Readonly<Record<string, string>> = {
  integer: 'int', dec: 'decimal', numeric: 'decimal', fixed: 'decimal', 'double precision': 'double', real: 'double', bool: 'tinyint', boolean: 'tinyint',
  geomcollection: 'geometrycollection', 'char byte': 'binary',
};

export function parseColumnType(text: string): ColumnType {
  const [, written = '', inside = '', rest = ''] = /^([a-z0-9_ ]+?)\s*(?:\(((?:'(?:[^'\\]|''|\\.)*'|[^)'])*)\))?((?:\s.*)?)$/is.exec(text.trim()) ?? [];
  const words = written.toLowerCase().trim();
  // Without parentheses the attributes are part of the words: `bigint unsigned`.
  const unsigned = /\bunsigned\b/i.test(`${words} ${rest}`);
  const zerofill = /\bzerofill\b/i.test(`${words} ${rest}`);
  const bare = words.replace(/\s*\b(?:unsigned|zerofill|signed)\b/g, '').trim();
  const name = aliases[bare] ?? bare;
  if (name === 'enum' || name === 'set') return { name, length: undefined, scale: undefined, unsigned, zerofill, labels: readLabels(inside) };
  const [length, scale] = inside.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : undefined));
  return { name, length, scale, unsigned, zerofill, labels: [] };
}

const escapes: Readonly<Record<string, string>> = { 0: '\0', n: '\n', r: '\r', t: '\t', b: '\b', Z: '\x1a' };

/** Quotes are doubled in every version; control characters and backslashes are escaped as in a string of a statement. */
function readLabels(list: string): string[] {
  return [...list.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs)].map(([, quoted = '']) =>
    quoted.replace(/''|\\(.)/gs, (_, escaped: string | undefined) => (escaped === undefined ? "'" : (escapes[escaped] ?? escaped))));
}

const integerBits: Readonly<Record<string, number>> = { tinyint: 8, smallint: 16, mediumint: 24, int: 32, bigint: 64 };

/** Smallest and largest value of an integer type; undefined for other types. */
export function integerRange(type: ColumnType): { readonly min: bigint; readonly max: bigint } | undefined {
  const bits = integerBits[type.name];
  if (bits === undefined) return undefined;
  return type.unsigned ? { min: 0n, max: (1n << BigInt(bits)) - 1n } : { min: -(1n << BigInt(bits - 1)), max: (1n << BigInt(bits - 1)) - 1n };
}

const textBytes: Readonly<Record<string, number>> = { tinytext: 255, text: 65_535, mediumtext: 16_777_215, longtext: 4_294_967_295, tinyblob: 255, blob: 65_535, mediumblob: 16_777_215, longblob: 4_294_967_295 };

/** Bytes that a TEXT or BLOB takes at most; undefined for other types. */
export function maxBytes(type: ColumnType): number | undefined {
  return textBytes[type.name];
}

export const geometryTypes: ReadonlySet<string> = new Set(['geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon', 'geometrycollection']);

export function isCharacterType(type: ColumnType): boolean {
  return type.name === 'char' || type.name === 'varchar' || type.name.endsWith('text');
}

export function isByteType(type: ColumnType): boolean {
  return type.name === 'binary' || type.name === 'varbinary' || type.name.endsWith('blob') || type.name === 'vector' || geometryTypes.has(type.name);
}

/** Digits behind the point of a time. */
export function fractionOf(type: ColumnType): number {
  return /^(?:time|datetime|timestamp)$/.test(type.name) ? type.length ?? 0 : 0;
}
