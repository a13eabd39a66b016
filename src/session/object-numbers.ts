/**
 * Types and tables have numbers (OIDs) of their own in each database; a client knows those of the source, where its catalog queries go. What local says
 * of columns and parameters is told in the source's numbers, and what the client says in them is told to local in its own.
 *
 * Numbers below 16384 are the same everywhere. What has no counterpart of its name on the other side keeps its number. One instance for all
 * sessions of a gateway; numbers are learned when they are first met. Binary arrays and composites have numbers inside, too: `value-numbers`.
 */
import type { QualifiedName, Side } from '../../catalog/routing-snapshot.ts';
import { relationKey } from '../../catalog/routing-snapshot.ts';
import { quoteLiteral } from '../../grammar/names.ts';
import { endOfString } from '../wire/message.ts';

/** Rows of text; rejects when the side cannot be asked. */
export type AskSide = (side: Side, sql: string) => Promise<readonly (readonly (string | null)[])[]>;

/** Where a value in binary has numbers of types inside: in an array's header, before each field of a record, or nowhere. A domain is what it is over. */
export type ValueShape = 'plain' | 'array' | 'record';

interface KnownType {
  /** Its number on the other side. */
  readonly other: number;
  readonly shape: ValueShape;
}

interface Relation {
  readonly oid: number;
  /** Number of a column on local → on the source. */
  readonly columns: ReadonlyMap<number, number>;
}

/** FirstNormalObjectId of PostgreSQL. */
const FIRST_OWN = 16_384;
/** Types that have the same number everywhere, but may hold others. */
const RECORD = 2249;
const RECORDS = 2287;
/** What could not be learned passes as it is for so long. */
const UNKNOWN_MS = 5_000;
const MAX_KNOWN = 50_000;

export class ObjectNumbers {
  readonly #ask: AskSide;
  readonly #sourceName: (local: QualifiedName) => QualifiedName;
  readonly #types = { local: new Map<number, KnownType>(), source: new Map<number, KnownType>() };
  readonly #relations = new Map<number, Relation>();
  readonly #missing = { local: new Set<number>(), source: new Set<number>(), relations: new Set<number>() };
  #learning: Promise<void> | undefined;

  /** `sourceName`: of a table by its name on local. */
  constructor(ask: AskSide, sourceName: (local: QualifiedName) => QualifiedName = (local) => local) {
    this.#ask = ask;
    this.#sourceName = sourceName;
  }

  /** Of a RowDescription of local that starts at `start`, in its place. False: something is not known yet, and nothing was changed. */
  rowForClient(buffer: Buffer, start: number, length: number): boolean {
    return this.#eachColumn(buffer, start, length, false) && this.#eachColumn(buffer, start, length, true);
  }

  #eachColumn(buffer: Buffer, start: number, length: number, writes: boolean): boolean {
    const end = start + length;
    let at = start + 7;
    let known = true;
    for (let column = buffer.readUInt16BE(start + 5); column > 0; column -= 1) {
      at = endOfString(buffer, at, end) + 1;
      const table = buffer.readUInt32BE(at);
      const type = buffer.readUInt32BE(at + 6);
      if (table >= FIRST_OWN) {
        const relation = this.#relations.get(table);
        if (!relation) known = this.#lacks(this.#missing.relations, table);
        else if (writes) {
          buffer.writeUInt32BE(relation.oid, at);
          buffer.writeInt16BE(relation.columns.get(buffer.readInt16BE(at + 4)) ?? buffer.readInt16BE(at + 4), at + 4);
        }
      }
      if (type >= FIRST_OWN) {
        const own = this.#types.local.get(type);
        if (own === undefined) known = this.#lacks(this.#missing.local, type);
        else if (writes) buffer.writeUInt32BE(own.other, at + 6);
      }
      at += 18;
    }
    return known;
  }

  /** Of a ParameterDescription of local, as `rowForClient`. */
  parametersForClient(buffer: Buffer, start: number): boolean {
    return this.#eachType(buffer, start + 7, buffer.readUInt16BE(start + 5), 'local');
  }

  /** Of a client's Parse for local: its `count` types from `at` on, in their place. */
  parametersForLocal(buffer: Buffer, at: number, count: number): boolean {
    return this.#eachType(buffer, at, count, 'source');
  }

  #eachType(buffer: Buffer, from: number, count: number, side: Side): boolean {
    let known = true;
    for (let at = from; at < from + 4 * count; at += 4) {
      const type = buffer.readUInt32BE(at);
      if (type >= FIRST_OWN && !this.#types[side].has(type)) known = this.#lacks(this.#missing[side], type);
    }
    for (let at = from; known && at < from + 4 * count; at += 4) buffer.writeUInt32BE(this.#types[side].get(buffer.readUInt32BE(at))?.other ?? buffer.readUInt32BE(at), at);
    return known;
  }

  /** Of a type by its number on that side; undefined: not known yet, and the next `learn` asks for it. */
  shapeOf(side: Side, type: number): ValueShape | undefined {
    if (type < FIRST_OWN) return type === RECORD ? 'record' : type === RECORDS ? 'array' : 'plain';
    const known = this.#types[side].get(type);
    if (!known) this.#lacks(this.#missing[side], type);
    return known?.shape;
  }

  /** What the other side calls a type that `shapeOf` knows. */
  otherOf(side: Side, type: number): number {
    return this.#types[side].get(type)?.other ?? type;
  }

  #lacks(missing: Set<number>, oid: number): false {
    missing.add(oid);
    return false;
  }

  /** Asks for what was missing; `done` is called in any case, and soon. */
  learn(done: () => void): void {
    this.#learning ??= this.#learn().finally(() => {
      this.#learning = undefined;
    });
    this.#learning.then(done, done);
  }

  async #learn(): Promise<void> {
    const asked = { local: [...this.#missing.local], source: [...this.#missing.source], relations: [...this.#missing.relations] };
    for (const set of Object.values(this.#missing)) set.clear();
    if (this.#types.local.size + this.#relations.size > MAX_KNOWN) for (const map of [this.#types.local, this.#types.source, this.#relations]) map.clear();
    await Promise.all([this.#learnTypes('local', asked.local), this.#learnTypes('source', asked.source), this.#learnRelations(asked.relations)]);
  }

  async #learnTypes(side: Side, oids: readonly number[]): Promise<void> {
    if (oids.length === 0) return;
    const other = side === 'local' ? 'source' : 'local';
    try {
      const named = await this.#ask(side, namesOfTypes(oids));
      const found = named.length === 0 ? [] : await this.#ask(other, typesOfNames(named));
      for (const [index, oid] of found) {
        const [number, , , , shape] = named[Number(index)] ?? [];
        this.#types[side].set(Number(number), { other: Number(oid), shape: shapeNamed(shape) });
        this.#types[other].set(Number(oid), { other: Number(number), shape: shapeNamed(shape) });
      }
      for (const [number, , , , shape] of named) if (!this.#types[side].has(Number(number))) this.#types[side].set(Number(number), { other: Number(number), shape: shapeNamed(shape) });
      for (const oid of oids) if (!this.#types[side].has(oid)) this.#types[side].set(oid, { other: oid, shape: 'plain' });
    } catch {
      for (const oid of oids) this.#passFor(this.#types[side], oid, { other: oid, shape: 'plain' });
    }
  }

  async #learnRelations(oids: readonly number[]): Promise<void> {
    if (oids.length === 0) return;
    try {
      const onLocal = await this.#ask('local', columnsOf(`c.oid IN (${oids.join(', ')})`));
      const names = new Map<number, QualifiedName>();
      for (const [oid, schema, name] of onLocal) names.set(Number(oid), this.#sourceName({ schema: schema ?? '', name: name ?? '' }));
      const wanted = [...names.values()];
      const onSource = wanted.length === 0 ? [] : await this.#ask('source', columnsOf(`(n.nspname, c.relname) IN (${wanted.map(({ schema, name }) => `(${quoteLiteral(schema)}, ${quoteLiteral(name)})`).join(', ')})`));
      for (const oid of oids) this.#relations.set(oid, counterpart(oid, names.get(oid), onLocal, onSource));
    } catch {
      for (const oid of oids) this.#passFor(this.#relations, oid, { oid, columns: new Map() });
    }
  }

  #passFor<T>(map: Map<number, T>, oid: number, value: T): void {
    map.set(oid, value);
    setTimeout(() => map.delete(oid), UNKNOWN_MS).unref();
  }
}

/** The same columns by name. */
function counterpart(oid: number, name: QualifiedName | undefined, onLocal: readonly (readonly (string | null)[])[], onSource: readonly (readonly (string | null)[])[]): Relation {
  const theirs = new Map<string, { readonly oid: number; readonly number: number }>();
  for (const [sourceOid, schema, relation, column, number] of onSource) {
    if (name && relationKey(schema ?? '', relation ?? '') === relationKey(name.schema, name.name)) theirs.set(column ?? '', { oid: Number(sourceOid), number: Number(number) });
  }
  const [first] = theirs.values();
  if (!first) return { oid, columns: new Map() };
  const columns = onLocal.flatMap(([own, , , column, number]): [number, number][] => {
    const found = theirs.get(column ?? '');
    return Number(own) === oid && found ? [[Number(number), found.number]] : [];
  });
  return { oid: first.oid, columns: new Map(columns) };
}

function shapeNamed(shape: string | null | undefined): ValueShape {
  return shape === 'array' || shape === 'record' ? shape : 'plain';
}

/** An array type is known by its elements: the server makes up its name. Other types with elements (`point`) have no header. */
function namesOfTypes(oids: readonly number[]): string {
  const isArray = (type: string): string => `EXISTS (SELECT FROM pg_catalog.pg_type x WHERE x.oid = ${type}.typelem AND x.typarray = ${type}.oid)`;
  return `WITH RECURSIVE base(type, oid) AS (SELECT t.oid, t.oid FROM pg_catalog.pg_type t WHERE t.oid IN (${oids.join(', ')})
      UNION ALL SELECT base.type, d.typbasetype FROM base JOIN pg_catalog.pg_type d ON d.oid = base.oid WHERE d.typtype = 'd')
    SELECT t.oid::text, n.nspname::text, e.typname::text, (e.oid <> t.oid)::text, CASE WHEN b.typtype = 'c' THEN 'record' WHEN ${isArray('b')} THEN 'array' ELSE 'plain' END
    FROM pg_catalog.pg_type t JOIN base ON base.type = t.oid JOIN pg_catalog.pg_type b ON b.oid = base.oid AND b.typtype <> 'd'
    JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN ${isArray('t')} THEN t.typelem ELSE t.oid END
    JOIN pg_catalog.pg_namespace n ON n.oid = e.typnamespace`;
}

function typesOfNames(names: readonly (readonly (string | null)[])[]): string {
  const values = names.map(([, schema, name, isArray], index) => `(${index}, ${quoteLiteral(schema ?? '')}, ${quoteLiteral(name ?? '')}, ${isArray === 'true' ? 'true' : 'false'})`);
  return `SELECT v.i::text, (CASE WHEN v.is_array THEN t.typarray ELSE t.oid END)::text FROM (VALUES ${values.join(', ')}) AS v(i, schema, name, is_array)
    JOIN pg_catalog.pg_namespace n ON n.nspname = v.schema JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = v.name WHERE NOT v.is_array OR t.typarray <> 0`;
}

function columnsOf(which: string): string {
  return `SELECT c.oid::text, n.nspname::text, c.relname::text, a.attname::text, a.attnum::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped WHERE ${which}`;
}
