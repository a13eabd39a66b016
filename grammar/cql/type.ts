/**
 * CQL types as `system_schema` writes them: text → tree → text. Aliases are told by their one name (`varchar` is `text`), names of
 * user-defined types are folded when bare and exact when quoted.
 *
 * https://cassandra.apache.org/doc/latest/cassandra/developing/cql/types.html
 */
import { cqlTokens } from './tokens.ts';
import type { CqlToken } from './tokens.ts';

export type CqlType =
  | { readonly kind: 'native'; readonly name: NativeType }
  | { readonly kind: 'list' | 'set'; readonly of: CqlType; readonly isFrozen: boolean }
  | { readonly kind: 'map'; readonly key: CqlType; readonly value: CqlType; readonly isFrozen: boolean }
  /** A tuple is one cell whether it says `frozen` or not. */
  | { readonly kind: 'tuple'; readonly items: readonly CqlType[] }
  | { readonly kind: 'vector'; readonly of: CqlType; readonly dimension: number }
  /** A user-defined type, by name: which fields it has `system_schema.types` tells. */
  | { readonly kind: 'udt'; readonly keyspace: string | undefined; readonly name: string; readonly isFrozen: boolean }
  /** A class of the server's. */
  | { readonly kind: 'custom'; readonly className: string };

const natives = ['ascii', 'bigint', 'blob', 'boolean', 'counter', 'date', 'decimal', 'double', 'duration', 'empty', 'float', 'inet', 'int', 'smallint', 'text', 'time', 'timestamp', 'timeuuid', 'tinyint', 'uuid', 'varint'] as const;
export type NativeType = (typeof natives)[number];

const deepest = 50;

class NotAType extends Error {}

/** Undefined when the text is no type. */
export function parseCqlType(text: string): CqlType | undefined {
  const reader = new TypeReader(cqlTokens(text));
  try {
    const type = reader.type(0);
    return reader.isAtEnd ? type : undefined;
  } catch (error) {
    if (error instanceof NotAType) return undefined;
    throw error;
  }
}

/** As the server writes it in `system_schema`. */
export function printCqlType(type: CqlType): string {
  switch (type.kind) {
    case 'native': return type.name;
    case 'list': case 'set': return frozen(type.isFrozen, `${type.kind}<${printCqlType(type.of)}>`);
    case 'map': return frozen(type.isFrozen, `map<${printCqlType(type.key)}, ${printCqlType(type.value)}>`);
    case 'tuple': return `frozen<tuple<${type.items.map(printCqlType).join(', ')}>>`;
    case 'vector': return `vector<${printCqlType(type.of)}, ${type.dimension}>`;
    case 'udt': return frozen(type.isFrozen, `${type.keyspace === undefined ? '' : `${cqlName(type.keyspace)}.`}${cqlName(type.name)}`);
    case 'custom': return `'${type.className.replaceAll("'", "''")}'`;
  }
}

/** Each element is a cell of its own, with its own timestamp and TTL. */
export function isMultiCell(type: CqlType): boolean {
  return (type.kind === 'list' || type.kind === 'set' || type.kind === 'map' || type.kind === 'udt') && !type.isFrozen;
}

export function isCounter(type: CqlType): boolean {
  return type.kind === 'native' && type.name === 'counter';
}

/** A name as CQL reads it back: always quoted unless a bare word means the same and is no word of the language. */
export function cqlName(name: string): string {
  return /^[a-z][a-z0-9_]*$/.test(name) && !reserved.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

const reserved = new Set(['add', 'allow', 'alter', 'and', 'apply', 'asc', 'authorize', 'batch', 'begin', 'between', 'by', 'columnfamily', 'create', 'cast', 'default', 'delete', 'desc', 'describe', 'drop', 'entries', 'execute', 'exists', 'filtering', 'from', 'full', 'grant', 'if', 'in', 'index',
  'infinity', 'insert', 'into', 'is', 'keys', 'keyspace', 'limit', 'materialized', 'mbean', 'mbeans', 'modify', 'nan', 'norecursive', 'not', 'null', 'of', 'on', 'or', 'order', 'primary', 'rename', 'replace', 'revoke', 'schema', 'scylla_clustering_bound', 'scylla_counter_shard_list', 'scylla_timeuuid_list_index',
  'select', 'set', 'table', 'to', 'token', 'truncate', 'unlogged', 'unset', 'update', 'use', 'using', 'values', 'view', 'where', 'with']);

function frozen(isFrozen: boolean, text: string): string {
  return isFrozen ? `frozen<${text}>` : text;
}

class TypeReader {
  readonly #tokens: readonly CqlToken[];
  #at = 0;

  constructor(tokens: readonly CqlToken[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  type(depth: number): CqlType {
    const token = this.#next();
    if (depth > deepest) throw new NotAType();
    if (token.kind === 'string') return { kind: 'custom', className: token.text };
    if (token.kind === 'quoted') return this.#userType(token.text);
    if (token.kind !== 'word') throw new NotAType();
    if (this.#isSymbol('<')) return this.#parameterised(token.text, depth);
    const name = token.text === 'varchar' ? 'text' : token.text;
    const native = natives.find((candidate) => candidate === name);
    return native !== undefined && !this.#isSymbol('.') ? { kind: 'native', name: native } : this.#userType(token.text);
  }

  #parameterised(word: string, depth: number): CqlType {
    this.#need('<');
    const first = this.type(depth + 1);
    switch (word) {
      case 'frozen': return this.#closed(freeze(first));
      case 'list': case 'set': return this.#closed({ kind: word, of: first, isFrozen: false });
      case 'map': {
        this.#need(',');
        return this.#closed({ kind: 'map', key: first, value: this.type(depth + 1), isFrozen: false });
      }
      case 'tuple': {
        const items = [first];
        while (this.#take(',')) items.push(this.type(depth + 1));
        return this.#closed({ kind: 'tuple', items });
      }
      case 'vector': {
        this.#need(',');
        const dimension = this.#next();
        if (dimension.kind !== 'number' || !/^[1-9]\d{0,8}$/.test(dimension.text)) throw new NotAType();
        return this.#closed({ kind: 'vector', of: first, dimension: Number(dimension.text) });
      }
      default: throw new NotAType();
    }
  }

  #userType(first: string): CqlType {
    if (!this.#take('.')) return { kind: 'udt', keyspace: undefined, name: first, isFrozen: false };
    const name = this.#next();
    if (name.kind !== 'word' && name.kind !== 'quoted') throw new NotAType();
    return { kind: 'udt', keyspace: first, name: name.text, isFrozen: false };
  }

  #closed(type: CqlType): CqlType {
    this.#need('>');
    return type;
  }

  #next(): CqlToken {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new NotAType();
    this.#at += 1;
    return token;
  }

  #isSymbol(symbol: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === 'symbol' && token.text === symbol;
  }

  #take(symbol: string): boolean {
    if (!this.#isSymbol(symbol)) return false;
    this.#at += 1;
    return true;
  }

  #need(symbol: string): void {
    if (!this.#take(symbol)) throw new NotAType();
  }
}

/** What can be frozen is; the others are one cell already. */
function freeze(type: CqlType): CqlType {
  return type.kind === 'list' || type.kind === 'set' || type.kind === 'map' || type.kind === 'udt' ? { ...type, isFrozen: true } : type;
}
