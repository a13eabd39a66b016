/** What the mock cluster knows and does: keyspaces, tables and rows, statement by statement. Connections, frames and faults are elsewhere. */
import * as crypto from 'node:crypto';
import type { CqlType } from '../../../grammar/cql/type.ts';
import type { ColumnDefinition, Modification, Statement, TableRef, Term } from './ast.ts';
import { codes, CqlError, invalid, syntax } from './cql-error.ts';
import { apply, needColumn, targetsOf } from './modify.ts';
import type { Target, WriteContext } from './modify.ts';
import { filterOf, isVisible, refuseFiltering, select, starColumns, View } from './select.ts';
import type { ResultColumn, ResultRows } from './select.ts';
import { Table } from './store.ts';
import type { Column } from './store.ts';
import { systemTable } from './system-tables.ts';
import { encode, native, timeOf, timeUuid, typeOf, uuidEpochMs } from './values.ts';
import type { UserTypes } from './values.ts';

export interface Traits {
  readonly clusterName: string;
  readonly dataCenter: string;
  readonly releaseVersion: string;
  readonly hasPeersV2: boolean;
  /** ScyllaDB's: SCYLLA_* in SUPPORTED. */
  readonly isScylla: boolean;
  /** How far this cluster's clock is from the machine's, in µs: a statement without a timestamp of its own shows it. */
  readonly clockSkewMicros: number;
}

export interface NodeAddress { readonly address: string; readonly port: number; readonly hostId: string; readonly token: string }
export interface Index { readonly keyspace: string; readonly table: string; readonly name: string; readonly target: string; readonly className: string | undefined }
export interface Keyspace { replication: ReadonlyMap<string, string>; readonly types: Map<string, readonly { readonly name: string; readonly type: CqlType }[]>; readonly tables: Map<string, Table>; readonly indexes: Map<string, Index> }

export interface SchemaChange { readonly change: 'CREATED' | 'UPDATED' | 'DROPPED'; readonly target: 'KEYSPACE' | 'TABLE' | 'TYPE'; readonly keyspace: string; readonly name: string | undefined }
export type Result = { readonly is: 'void' } | { readonly is: 'keyspace'; readonly keyspace: string } | ({ readonly is: 'schema' } & SchemaChange) | ({ readonly is: 'rows'; readonly table: Table } & ResultRows);

export interface Execution {
  readonly keyspace: string | undefined;
  readonly binds: readonly (Buffer | null | undefined)[];
  /** The frame's. */
  readonly timestamp: bigint | undefined;
  readonly pageSize: number | undefined;
  readonly pagingState: Buffer | undefined;
  readonly here: NodeAddress;
}

export class Database {
  readonly traits: Traits;
  readonly salt: Buffer;
  readonly nodes: NodeAddress[] = [];
  readonly keyspaces = new Map<string, Keyspace>();
  schemaVersion: string = crypto.randomUUID();
  readonly #nowMs: () => number;
  #lastMicros = 0n;
  #sequence = 0;

  constructor(traits: Traits, nowMs: () => number) {
    this.traits = traits;
    this.#nowMs = nowMs;
    this.salt = crypto.randomBytes(8);
    for (const name of ['system', 'system_schema']) this.keyspaces.set(name, { replication: new Map([['class', 'org.apache.cassandra.locator.LocalStrategy']]), types: new Map(), tables: new Map(), indexes: new Map() });
  }

  get nowSeconds(): number {
    return Math.floor(this.#nowMs() / 1000);
  }

  userTables(): Table[] {
    return [...this.keyspaces.values()].flatMap(({ tables }) => [...tables.values()]);
  }

  indexes(): Index[] {
    return [...this.keyspaces.values()].flatMap(({ indexes }) => [...indexes.values()]);
  }

  userTypes(keyspace: string): UserTypes {
    return (name) => this.#keyspace(keyspace).types.get(name) ?? raise(invalid(`Unknown type ${keyspace}.${name}`));
  }

  table(ref: TableRef, session: string | undefined, here: NodeAddress): Table {
    const keyspace = this.#named(ref, session);
    const table = keyspace.startsWith('system') ? systemTable(this, keyspace, ref.name, here) : this.#keyspace(keyspace).tables.get(ref.name);
    if (!table) throw invalid(this.traits.isScylla ? `unconfigured table ${ref.name}` : `unconfigured table ${ref.name}`);
    return table;
  }

  execute(statement: Statement, execution: Execution): Result {
    switch (statement.is) {
      case 'select': {
        const table = this.table(statement.table, execution.keyspace, execution.here);
        const indexed = this.indexes().filter((index) => index.keyspace === table.keyspace && index.table === table.name).map(({ target }) => target.replace(/^\w+\(|\)$|"/g, ''));
        refuseFiltering(table, statement, indexed);
        return { is: 'rows', table, ...select(table, statement, { ...this.#context(table, execution), salt: this.salt, pageSize: execution.pageSize, pagingState: execution.pagingState }) };
      }
      case 'insert': case 'update': case 'delete': return this.write([statement], execution, undefined);
      case 'batch': return this.executeBatch(statement.children, statement.type, execution, statement.timestamp);
      case 'use': {
        this.#keyspace(statement.keyspace);
        return { is: 'keyspace', keyspace: statement.keyspace };
      }
      case 'truncate': {
        this.table(statement.table, execution.keyspace, execution.here).truncate();
        return { is: 'void' };
      }
      default: return this.#schema(statement, execution);
    }
  }

  executeBatch(children: readonly Modification[], type: 'logged' | 'unlogged' | 'counter', execution: Execution, timestamp: Term | undefined): Result {
    for (const child of children) {
      const { isCounter } = this.table(child.table, execution.keyspace, execution.here);
      if (isCounter && type !== 'counter') throw invalid('Counter mutations are only allowed in COUNTER batches');
      if (!isCounter && type === 'counter') throw invalid('Cannot include non-counter statement in a counter batch');
      if (timestamp && child.timestamp) throw invalid('Timestamp must be set either on BATCH or individual statements');
    }
    return this.write(children, execution, timestamp);
  }

  /** Several statements as one: all conditions hold, or nothing is written. Each may have binds of its own. */
  write(statements: readonly Modification[], execution: Execution, batchTimestamp: Term | undefined, bindsOf: readonly (readonly (Buffer | null | undefined)[])[] = []): Result {
    const isConditional = statements.some(({ condition }) => condition !== 'none');
    const own = this.serverMicros();
    const work = statements.map((statement, index) => {
      const table = this.table(statement.table, execution.keyspace, execution.here);
      const term = statement.timestamp ?? batchTimestamp;
      if (table.isCounter && term) throw invalid('Cannot provide custom timestamp for counter updates');
      if (table.isCounter && statement.ttl) throw invalid('Cannot provide custom TTL for counter updates');
      if (isConditional && term) throw invalid('Cannot provide custom timestamp for conditional updates');
      if (table.keyspace.startsWith('system')) throw new CqlError(codes.unauthorized, `${table.keyspace} keyspace is not user-modifiable.`);
      const context = this.#context(table, { ...execution, binds: bindsOf[index] ?? execution.binds });
      const given = term && encode(term, native('bigint'), context);
      const timestamp = isConditional ? own : given ? given.readBigInt64BE() : execution.timestamp ?? own;
      const full: WriteContext = { ...context, timestamp, listPath: (isFront) => this.#listPath(isFront) };
      return { statement, table, context: full, targets: targetsOf(table, statement, full) };
    });
    if (isConditional) {
      const refused = work.flatMap(({ statement, table, context, targets }) => targets.flatMap((target) => this.#refusal(statement, table, context, target) ?? []));
      const [first] = refused;
      if (first) return first;
    }
    for (const { statement, table, context, targets } of work) for (const target of targets) apply(table, statement, target, context);
    const [first] = work;
    if (!isConditional || !first) return { is: 'void' };
    return { is: 'rows', table: first.table, columns: [applied], rows: [[Buffer.of(1)]], next: undefined };
  }

  /** µs, never the same twice. */
  serverMicros(): bigint {
    const now = BigInt(this.#nowMs()) * 1000n + BigInt(this.traits.clockSkewMicros);
    this.#lastMicros = now > this.#lastMicros ? now : this.#lastMicros + 1n;
    return this.#lastMicros;
  }

  /** The answer when a condition does not hold. */
  #refusal(statement: Modification, table: Table, context: WriteContext, { partition, row }: Target): Result | undefined {
    if (statement.condition === 'none') return undefined;
    const subject = row ?? partition.statics;
    const isThere = isVisible(table, partition, subject, context.nowSeconds);
    const view = new View(table, partition, row, context);
    const read = { ...context, salt: this.salt, pageSize: undefined, pagingState: undefined };
    const answer = (columns: readonly Column[]): Result => ({ is: 'rows', table, columns: [applied, ...columns.map(({ name, type }): ResultColumn => ({ name, type }))], rows: [[Buffer.of(0), ...columns.map((column) => view.value(column))]], next: undefined });
    if (statement.condition === 'not exists') return isThere ? answer(starColumns(table)) : undefined;
    if (statement.condition === 'exists') return isThere ? undefined : answer([]);
    const holds = statement.ifs.every((relation) => filterOf(table, relation, read)(view));
    return holds ? undefined : answer(isThere ? [...new Set(statement.ifs.flatMap(({ columns }) => columns))].map((name) => needColumn(table, name)) : []);
  }

  #context(table: Table, execution: Execution): Omit<WriteContext, 'timestamp' | 'listPath'> {
    const userTypes = this.userTypes(table.keyspace);
    const { nowSeconds } = this;
    const base = { binds: execution.binds, userTypes, nowSeconds };
    return { ...base, call: (name, args, type) => this.#call(name, args, type, execution.binds, userTypes) };
  }

  #call(name: string, args: readonly Term[], type: CqlType, binds: Execution['binds'], userTypes: UserTypes): Buffer | null {
    const context = { binds, userTypes, call: (inner: string, innerArgs: readonly Term[], of: CqlType): Buffer | null => this.#call(inner, innerArgs, of, binds, userTypes) };
    const [arg] = args;
    switch (name) {
      case 'now': case 'currenttimeuuid': {
        this.#sequence += 1;
        return timeUuid(this.#nowMs(), this.#sequence, this.salt);
      }
      case 'uuid': return Buffer.from(crypto.randomUUID().replaceAll('-', ''), 'hex');
      case 'currenttimestamp': return millis(this.#nowMs());
      case 'totimestamp': case 'dateof': {
        const value = arg && encode(arg, native('timeuuid'), context);
        return value ? millis(Number(timeOf(value) / 10_000n - uuidEpochMs)) : null;
      }
      default: {
        const asBlob = /^(\w+)asblob$/.exec(name)?.[1];
        if (asBlob !== undefined && arg) return encode(arg, typeOf(asBlob), context) ?? null;
        if (name.startsWith('blobas') && arg) return encode(arg, native('blob'), context) ?? null;
        throw invalid(`Unknown function '${name}' for type ${type.kind}`);
      }
    }
  }

  /** Lists are in the order of these places; each is used once. */
  #listPath(isFront: boolean): string {
    const middle = 2n ** 79n;
    this.#sequence += 1;
    const distance = this.serverMicros() * 65536n + BigInt(this.#sequence % 65536);
    return (isFront ? middle - distance : middle + distance).toString(16).padStart(20, '0');
  }

  #keyspace(name: string): Keyspace {
    return this.keyspaces.get(name) ?? raise(invalid(`Keyspace '${name}' does not exist`));
  }

  #named(ref: TableRef, session: string | undefined): string {
    return ref.keyspace ?? session ?? raise(invalid('No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename'));
  }

  #schema(statement: Exclude<Statement, { is: 'select' | 'insert' | 'update' | 'delete' | 'batch' | 'use' | 'truncate' }>, execution: Execution): Result {
    const done = (change: SchemaChange['change'], target: SchemaChange['target'], keyspace: string, name?: string): Result => {
      this.schemaVersion = crypto.randomUUID();
      return { is: 'schema', change, target, keyspace, name };
    };
    const unchanged: Result = { is: 'void' };
    switch (statement.is) {
      case 'create keyspace': {
        const existing = this.keyspaces.get(statement.name);
        if (statement.isAltered) this.#keyspace(statement.name).replication = replicationOf(statement.replication);
        else if (existing) return statement.isSoft ? unchanged : raise(exists(statement.name, ''));
        else this.keyspaces.set(statement.name, { replication: replicationOf(statement.replication), types: new Map(), tables: new Map(), indexes: new Map() });
        return done(statement.isAltered ? 'UPDATED' : 'CREATED', 'KEYSPACE', statement.name);
      }
      case 'drop keyspace': {
        if (!this.keyspaces.delete(statement.name)) return statement.isSoft ? unchanged : raise(new CqlError(codes.configuration, `Cannot drop non existing keyspace '${statement.name}'.`));
        return done('DROPPED', 'KEYSPACE', statement.name);
      }
      case 'create table': {
        const keyspace = this.#named(statement.table, execution.keyspace);
        const { tables, types } = this.#keyspace(keyspace);
        const { name } = statement.table;
        if (tables.has(name)) return statement.isSoft ? unchanged : raise(exists(keyspace, name));
        const column = ({ name: called, type: text, isStatic }: ColumnDefinition): Column => {
          const type = typeOf(text);
          if (type.kind === 'udt' && !types.has(type.name)) throw invalid(`Unknown type ${keyspace}.${type.name}`);
          const partition = statement.partitionKey.indexOf(called);
          const clustering = statement.clustering.indexOf(called);
          const kind = partition >= 0 ? 'partition_key' : clustering >= 0 ? 'clustering' : isStatic ? 'static' : 'regular';
          return { name: called, type, kind, position: partition >= 0 ? partition : clustering, isDescending: statement.descending.includes(called) };
        };
        for (const key of [...statement.partitionKey, ...statement.clustering]) if (!statement.columns.some((each) => each.name === key)) throw invalid(`Unknown definition ${key} referenced in PRIMARY KEY`);
        tables.set(name, new Table(keyspace, name, crypto.randomBytes(16), statement.columns.map(column), new Map(statement.options)));
        return done('CREATED', 'TABLE', keyspace, name);
      }
      case 'alter table': {
        const table = this.table(statement.table, execution.keyspace, execution.here);
        for (const { name, type, isStatic } of statement.add) {
          if (table.column(name)) throw invalid(`Invalid column name ${name} because it conflicts with an existing column`);
          table.columns.push({ name, type: typeOf(type), kind: isStatic ? 'static' : 'regular', position: -1, isDescending: false });
        }
        for (const name of statement.drop) table.columns.splice(table.columns.indexOf(needColumn(table, name)), 1);
        for (const [name, value] of statement.options) table.options.set(name, value);
        return done('UPDATED', 'TABLE', table.keyspace, table.name);
      }
      case 'drop table': {
        const keyspace = this.#named(statement.table, execution.keyspace);
        if (!this.#keyspace(keyspace).tables.delete(statement.table.name)) return statement.isSoft ? unchanged : raise(invalid(`unconfigured table ${statement.table.name}`));
        return done('DROPPED', 'TABLE', keyspace, statement.table.name);
      }
      case 'create type': {
        const keyspace = this.#named(statement.table, execution.keyspace);
        const { types } = this.#keyspace(keyspace);
        if (types.has(statement.table.name)) return statement.isSoft ? unchanged : raise(invalid(`A user type of name ${statement.table.name} already exists`));
        types.set(statement.table.name, statement.fields.map(({ name, type }) => ({ name, type: typeOf(type) })));
        return done('CREATED', 'TYPE', keyspace, statement.table.name);
      }
      case 'drop type': {
        const keyspace = this.#named(statement.table, execution.keyspace);
        if (!this.#keyspace(keyspace).types.delete(statement.table.name)) return statement.isSoft ? unchanged : raise(invalid(`No user type named ${statement.table.name} exists.`));
        return done('DROPPED', 'TYPE', keyspace, statement.table.name);
      }
      case 'create index': {
        const { keyspace, name: table, column } = { ...pick(this.table(statement.table, execution.keyspace, execution.here)), column: /\w+(?=\W*$)/.exec(statement.target)?.[0] ?? '' };
        const name = statement.name ?? `${table}_${column}_idx`;
        const { indexes } = this.#keyspace(keyspace);
        if (indexes.has(name)) return statement.isSoft ? unchanged : raise(invalid(`Index ${name} already exists`));
        indexes.set(name, { keyspace, table, name, target: statement.target, className: statement.className });
        return done('UPDATED', 'TABLE', keyspace, table);
      }
      case 'drop index': {
        const keyspace = this.#named(statement.index, execution.keyspace);
        const { indexes } = this.#keyspace(keyspace);
        const index = indexes.get(statement.index.name);
        if (!index) return statement.isSoft ? unchanged : raise(invalid(`Index '${statement.index.name}' could not be found`));
        indexes.delete(statement.index.name);
        return done('UPDATED', 'TABLE', keyspace, index.table);
      }
    }
  }
}

const applied: ResultColumn = { name: '[applied]', type: native('boolean') };

function pick({ keyspace, name }: Table): { readonly keyspace: string; readonly name: string } {
  return { keyspace, name };
}

function replicationOf(given: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (!given.has('class')) throw syntax('Missing replication strategy class');
  const name = given.get('class') ?? '';
  return new Map([...given, ['class', name.includes('.') ? name : `org.apache.cassandra.locator.${name}`]]);
}

function exists(keyspace: string, table: string): CqlError {
  const text = (value: string): Buffer => Buffer.concat([Buffer.of(0, Buffer.byteLength(value)), Buffer.from(value)]);
  return new CqlError(codes.exists, table === '' ? `Cannot add existing keyspace "${keyspace}"` : `Cannot add already existing table "${table}" to keyspace "${keyspace}"`, Buffer.concat([text(keyspace), text(table)]));
}

function millis(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

function raise(error: Error): never {
  throw error;
}
