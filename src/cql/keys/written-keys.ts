/** The keys that a write of the log may have changed, read out of its values. */
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import { readCql } from '../../../grammar/cql/statement-facts.ts';
import { BodyReader } from '../../wire/cql/body-reader.ts';
import { opcodes } from '../../wire/cql/frame.ts';
import { findBatch, findParameters, newPlaces, queryFlags } from '../../wire/cql/request-body.ts';
import type { Intent, IntentStatement } from '../intents/intent-log.ts';
import { sentTextOf } from '../prepared-calls.ts';
import { ID_BYTES } from '../prepared-registry.ts';
import type { KeyedTable, WrittenKey } from './key-columns.ts';
import { planKeys } from './key-plan.ts';
import type { KeyPlan, KeyValue } from './key-plan.ts';
import { possibleValues } from './possible-value.ts';
import type { IsPossible } from './possible-value.ts';

type Plans = readonly (KeyPlan | 'unknown')[];
/** By the marker's number. */
type Values = (bind: number) => Buffer | null | undefined;

/** Which bytes may be a value, column by column. */
interface Possible {
  readonly partitionKey: readonly IsPossible[];
  readonly clustering: readonly IsPossible[];
}

/** Several values of IN make so many keys at most; with more of them the key ends before. */
const MOST_COMBINATIONS = 1000;
const MOST_TEXTS = 10_000;
const none: Plans = [];

export class WrittenKeys {
  readonly #table: KeyedTable;
  readonly #possible: Possible;
  readonly #byStatement = new Map<IntentStatement, Plans>();
  readonly #byText = new Map<string, Plans>();
  readonly #places = newPlaces();
  /** What a text that writes the table has in it, in lower case; empty when that cannot be told. */
  readonly #word: string;

  constructor(table: KeyedTable) {
    this.#table = table;
    this.#possible = { partitionKey: table.partitionKey.map(possibleValues), clustering: table.clustering.map(possibleValues) };
    this.#word = table.table.includes('"') ? '' : table.table.toLowerCase();
  }

  /** Views into the body. Empty when it does not write the table; `unknown` when any row of it may have changed. */
  of(intent: Pick<Intent, 'opcode' | 'origin' | 'statements' | 'body'>): readonly WrittenKey[] | 'unknown' {
    const { opcode, statements: [statement], body, origin } = intent;
    try {
      if (opcode === opcodes.batch) return this.#batch(intent);
      if (opcode === opcodes.execute) return statement ? this.#single(this.#ofStatement(statement), body, 2 + ID_BYTES, origin.version, () => bindNamesOf(sentFacts(statement))) : 'unknown';
      const textEnd = 4 + body.readInt32BE(0);
      const text = body.toString('utf8', 4, textEnd);
      return this.#single(this.#ofText(text, origin.keyspace), body, textEnd, origin.version, () => bindNamesOf(readCql(text)));
    } catch (error) {
      if (error instanceof RangeError) return 'unknown';
      throw error;
    }
  }

  /** Whether an execution of it may write the table. */
  isAbout(statement: IntentStatement): boolean {
    return this.#ofStatement(statement).length > 0;
  }

  #single(plans: Plans, body: Buffer, parametersAt: number, version: number, bindNames: () => readonly (string | undefined)[]): readonly WrittenKey[] | 'unknown' {
    if (plans.length === 0) return [];
    const places = this.#places;
    findParameters(body, parametersAt, body.length, places, version);
    const hasNames = (body.readUInt8(places.flagsAt) & queryFlags.names) !== 0;
    if (!hasNames) {
      const values = valuesAt(body, places.valuesAt, places.valueCount);
      return keysOf(this.#possible, plans, (bind) => values[bind]);
    }
    const values = namedValues(body, places.valuesAt, places.valueCount);
    const names = bindNames();
    return keysOf(this.#possible, plans, (bind) => values.get(names[bind] ?? ''));
  }

  #batch({ body, statements, origin }: Pick<Intent, 'body' | 'statements' | 'origin'>): readonly WrittenKey[] | 'unknown' {
    const keys: WrittenKey[] = [];
    let prepared = 0;
    for (const { at, bytes, isPrepared, valuesAt: from, valueCount } of findBatch(body, 0, body.length, origin.version).children) {
      const statement = isPrepared ? statements[prepared++] : undefined;
      if (isPrepared && !statement) return 'unknown';
      const plans = statement ? this.#ofStatement(statement) : this.#ofText(body.toString('utf8', at, at + bytes), origin.keyspace);
      if (plans.length === 0) continue;
      const values = valuesAt(body, from, valueCount);
      const found = keysOf(this.#possible, plans, (bind) => values[bind]);
      if (found === 'unknown') return 'unknown';
      keys.push(...found);
    }
    return keys;
  }

  #ofStatement(statement: IntentStatement): Plans {
    const known = this.#byStatement.get(statement);
    if (known) return known;
    const plans = planKeys(sentFacts(statement), statement.keyspace, this.#table);
    this.#byStatement.set(statement, plans);
    return plans;
  }

  #ofText(text: string, keyspace: string): Plans {
    // Texts with their values in them are all different, and to read one costs more than to see that it has nothing to do with the table.
    if (this.#word !== '' && !text.toLowerCase().includes(this.#word)) {
      return /^\s*(?:insert|update|delete|begin)\b/i.test(text) ? none : planKeys(readCql(text), keyspace, this.#table);
    }
    const name = `${keyspace}\0${text}`;
    const known = this.#byText.get(name);
    if (known) return known;
    const plans = planKeys(readCql(text), keyspace, this.#table);
    if (this.#byText.size >= MOST_TEXTS) this.#byText.clear();
    this.#byText.set(name, plans);
    return plans;
  }
}

/** As it was bound: with markers for the calls that the proxy has settled. */
function sentFacts({ text }: IntentStatement): CqlStatement {
  const facts = readCql(text);
  const sent = sentTextOf(text, facts);
  return sent.calls.length === 0 ? facts : readCql(sent.text);
}

function bindNamesOf({ bindNames }: CqlStatement): readonly (string | undefined)[] {
  return bindNames;
}

/** Views; null for what is null or not set. What is read here was found to be whole. */
function valuesAt(body: Buffer, from: number, count: number): readonly (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  for (let index = 0, at = from; index < count; index += 1) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.subarray(at, at + length));
    if (length > 0) at += length;
  }
  return values;
}

function namedValues(body: Buffer, from: number, count: number): ReadonlyMap<string, Buffer | null> {
  const values = new Map<string, Buffer | null>();
  const reader = new BodyReader(body, from, body.length);
  for (let index = 0; index < count; index += 1) {
    const name = reader.string();
    const length = reader.int();
    values.set(name, length < 0 ? null : body.subarray(reader.at, reader.at + length));
    if (length > 0) reader.skip(length);
  }
  return values;
}

function keysOf(possible: Possible, plans: Plans, values: Values): readonly WrittenKey[] | 'unknown' {
  const keys: WrittenKey[] = [];
  for (const plan of plans) {
    const found = plan === 'unknown' ? plan : (only(possible, plan, values) ?? keysOfPlan(possible, plan, values));
    if (found === 'unknown') return found;
    keys.push(...found);
  }
  return keys;
}

/** The common case: each column has one bound value. Undefined when it is another one. */
function only({ partitionKey, clustering }: Possible, plan: KeyPlan, values: Values): readonly WrittenKey[] | undefined {
  const partition = singleValues(plan.partitionKey, partitionKey, values);
  const rows = partition && singleValues(plan.clustering, clustering, values);
  return partition && rows && (partition.length > 1 || (partition[0]?.length ?? 0) > 0) ? [{ partitionKey: partition, clustering: rows, isStaticOnly: plan.isStaticOnly }] : undefined;
}

function singleValues(columns: KeyPlan['partitionKey'], possible: readonly IsPossible[], values: Values): Buffer[] | undefined {
  const found: Buffer[] = [];
  for (let place = 0; place < columns.length; place += 1) {
    const value = columns[place]?.[0];
    if (columns[place]?.length !== 1 || value === undefined || !('bind' in value)) return undefined;
    const bytes = values(value.bind);
    if (!bytes || possible[place]?.(bytes) !== true) return undefined;
    found.push(bytes);
  }
  return found;
}

function keysOfPlan(possible: Possible, { partitionKey, clustering, isStaticOnly }: KeyPlan, values: Values): readonly WrittenKey[] | 'unknown' {
  let partitions: readonly (readonly Buffer[])[] = [[]];
  for (const [place, column] of partitionKey.entries()) {
    const bound = boundValues(column, possible.partitionKey[place], values);
    if (bound === undefined || partitions.length * bound.length > MOST_COMBINATIONS) return 'unknown';
    partitions = partitions.flatMap((begun) => bound.map((value) => [...begun, value]));
  }
  // A partition whose key is empty or null is refused by every server.
  if (partitionKey.length === 1) partitions = partitions.filter(([value]) => value !== undefined && value.length > 0);
  let prefixes: readonly (readonly Buffer[])[] = [[]];
  for (const [place, column] of clustering.entries()) {
    const bound = boundValues(column, possible.clustering[place], values);
    if (bound === undefined || partitions.length * prefixes.length * bound.length > MOST_COMBINATIONS) break;
    prefixes = prefixes.flatMap((begun) => bound.map((value) => [...begun, value]));
  }
  return partitions.flatMap((partition) => prefixes.map((prefix) => ({ partitionKey: partition, clustering: prefix, isStaticOnly })));
}

/** Without those that no row has, since a server refuses them. Undefined when one is not there at all. */
function boundValues(given: readonly KeyValue[], isPossible: IsPossible | undefined, values: Values): readonly Buffer[] | undefined {
  const found: Buffer[] = [];
  for (const value of given) {
    if ('bytes' in value) {
      found.push(value.bytes);
      continue;
    }
    const bytes = values('bind' in value ? value.bind : value.list);
    if (bytes === undefined) return undefined;
    if (bytes === null) continue;
    if ('bind' in value) found.push(bytes);
    else found.push(...elementsOf(bytes));
  }
  return isPossible ? found.filter(isPossible) : found;
}

function elementsOf(list: Buffer): readonly Buffer[] {
  const reader = new BodyReader(list);
  const elements: Buffer[] = [];
  for (let left = reader.int(); left > 0; left -= 1) {
    const length = reader.int();
    if (length < 0) continue;
    const at = reader.skip(length);
    elements.push(list.subarray(at, at + length));
  }
  return elements;
}
