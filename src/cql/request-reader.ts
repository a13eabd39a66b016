/**
 * Makes requests of the frames QUERY, PREPARE, EXECUTE and BATCH: which statement it is, what it does in the present modes, and its frame as it is to leave.
 * The values of an EXECUTE are looked at only where something hangs on them: a paging state, a missing timestamp, a filter.
 */
import type { CqlStatement } from '../../grammar/cql/statement.ts';
import { errorBody, errorCodes, unpreparedBody } from '../wire/cql/error-body.ts';
import { messageStart, opcodes } from '../wire/cql/frame.ts';
import { findParameters, movedBatch, newPlaces, queryFlags } from '../wire/cql/request-body.ts';
import { BatchStatement, readBatch } from './batch-statement.ts';
import { TimeUuids, withLiterals } from './literal-functions.ts';
import { plans } from './modes.ts';
import type { Plan } from './modes.ts';
import { ANY_KEY } from './order-lanes.ts';
import { partitionOf, settledBatch, settledExecute } from './prepared-calls.ts';
import { ID_BYTES } from './prepared-registry.ts';
import type { PreparedEntry } from './prepared-registry.ts';
import type { ProxyContext } from './proxy-context.ts';
import type { FilterSnapshot } from './proxy-options.ts';
import type { Answered, Leg, Request } from './request.ts';
import { requestKinds } from './request-kinds.ts';
import type { RequestKind } from './request-kinds.ts';
import { markedCluster, stamped, unmarked, withText } from './rewrite-request.ts';
import { isOrdered } from './repeatability.ts';
import { isVirtual, planOfStatement, tablesOf, touchedBy } from './statement-traits.ts';
import type { StatementTraits } from './statement-traits.ts';
import type { NodePool } from './upstream.ts';
import { prepareVirtual, readValues, selectVirtual } from './virtual-tables.ts';
import type { VirtualAnswer, VirtualContext } from './virtual-tables.ts';

/** The session that a request is of. */
export interface RequestSession extends Answered {
  readonly keyspace: string;
  readonly version: number;
  readonly virtual: VirtualContext;
  poolsIn(keyspace: string): readonly [NodePool<Leg>, NodePool<Leg>];
  reply(stream: number, opcode: number, body: Buffer): void;
  use(stream: number, keyspace: string): void;
  /** The request counts as one in hand from now on. */
  began(): void;
}

const places = newPlaces();
const noTables: readonly string[] = [];
/** Batches over several tables keep their order among themselves. */
const SEVERAL_TABLES = ' ';

function oneTable(tables: readonly string[]): string {
  const [first = SEVERAL_TABLES] = tables;
  return tables.every((table) => table === first) ? first : SEVERAL_TABLES;
}

export class RequestReader {
  readonly #context: ProxyContext;
  readonly #session: RequestSession;
  readonly #timeUuids = new TimeUuids();

  constructor(context: ProxyContext, session: RequestSession) {
    this.#context = context;
    this.#session = session;
  }

  /** A RangeError for a body that cannot be read. */
  read(buffer: Buffer, start: number, end: number): void {
    const opcode = buffer.readUInt8(start + 4);
    const messageAt = messageStart(buffer, start, end);
    if (opcode === opcodes.execute) this.#execute(buffer, start, end, messageAt);
    else if (opcode === opcodes.query) this.#query(buffer, start, end, messageAt);
    else if (opcode === opcodes.prepare) this.#prepare(buffer, start, end, messageAt);
    else this.#batch(buffer, start, end, messageAt);
  }

  #execute(buffer: Buffer, start: number, end: number, messageAt: number): void {
    const { registry, counts, modes } = this.#context;
    const idBytes = buffer.readUInt16BE(messageAt);
    const idEnd = messageAt + 2 + idBytes;
    if (idEnd + 3 > end) throw new RangeError('the body ends in the prepared id');
    const entry = idBytes === ID_BYTES ? registry.findAt(buffer, messageAt + 2) : undefined;
    const stream = buffer.readInt16BE(start + 2);
    if (!entry) {
      counts.unknownIds += 1;
      this.#session.reply(stream, opcodes.error, unpreparedBody('the proxy does not know this prepared statement', buffer.subarray(messageAt + 2, idEnd)));
      return;
    }
    if (entry.isVirtual) {
      this.#select(stream, entry.traits.facts, buffer, idEnd, end);
      return;
    }
    const plan = entry.planIn(modes);
    if (typeof plan === 'string') {
      this.#refuse(stream, plan);
      return;
    }
    this.#single(buffer, start, end, messageAt, idEnd, plan, entry.traits, entry, entry.keyspace);
  }

  #query(buffer: Buffer, start: number, end: number, messageAt: number): void {
    const { texts, modes } = this.#context;
    const { keyspace } = this.#session;
    const textEnd = messageAt + 4 + buffer.readInt32BE(messageAt);
    if (textEnd + 3 > end) throw new RangeError('the body ends in the text');
    const stream = buffer.readInt16BE(start + 2);
    const traits = texts.read(buffer.toString('utf8', messageAt + 4, textEnd));
    if (traits.isUse) {
      this.#session.use(stream, traits.keyspace);
      return;
    }
    if (isVirtual(traits, keyspace)) {
      this.#select(stream, traits.facts, buffer, textEnd, end);
      return;
    }
    const plan = planOfStatement(traits, keyspace, modes);
    if (typeof plan === 'string') this.#refuse(stream, plan);
    else this.#single(buffer, start, end, messageAt, textEnd, plan, traits, undefined, keyspace);
  }

  /** QUERY and EXECUTE, whose parameters begin at `parametersAt`. */
  #single(buffer: Buffer, start: number, end: number, messageAt: number, parametersAt: number, settled: Plan, traits: StatementTraits, entry: PreparedEntry | undefined, keyspace: string): void {
    const { timestamps, counts } = this.#context;
    const stream = buffer.readInt16BE(start + 2);
    // Nothing leaves on a shared connection that a node may close it for.
    findParameters(buffer, parametersAt, end, places, this.#session.version);
    const flags = buffer.readUInt8(parametersAt + 2);
    let plan = settled;
    let frame = buffer;
    let from = start;
    let to = end;
    let flagsAt = parametersAt + 2;
    let isUnrepeatable = (entry ? entry.isUnrepeatable : traits.isUnrepeatable) && plan.shadow !== undefined;
    const { kind } = traits;
    if (isUnrepeatable && !entry) {
      const text = withLiterals(buffer.toString('utf8', messageAt + 4, parametersAt), traits.facts.unstableCalls, this.#context.clock.now(), this.#timeUuids);
      if (text !== undefined) {
        frame = withText(frame, from, to, messageAt, text);
        flagsAt = messageAt - start + 4 + frame.readInt32BE(messageAt - start) + 2;
        from = 0;
        to = frame.length;
        isUnrepeatable = false;
      }
    }
    if ((flags & queryFlags.pagingState) !== 0) {
      findParameters(frame, flagsAt - 2, to, places);
      const owner = markedCluster(frame, places.pagingStateAt, places.pagingStateBytes);
      if (owner === undefined) {
        this.#session.reply(stream, opcodes.error, errorBody(errorCodes.protocol, 'the paging state is not one that this proxy gave'));
        return;
      }
      // The rest of a result comes from where its first page came from, whatever the mode is by now.
      if (kind === requestKinds.read) plan = owner === 0 ? plans.SourceOnly : plans.TargetOnly;
      frame = unmarked(frame, from, to, places.pagingStateAt, places.pagingStateBytes);
      flagsAt -= from;
      from = 0;
      to = frame.length;
    }
    const { sampler } = this.#context;
    if (sampler && kind === requestKinds.read && plan.shadow !== undefined && (flags & queryFlags.pagingState) === 0 && sampler.draws) sampler.take({ buffer, messageAt, end, opcode: buffer.readUInt8(start + 4), version: this.#session.version, keyspace, entry, traits });
    let isFiltered = false;
    if (kind === requestKinds.write || kind === requestKinds.conditional) {
      const filter = plan.shadow === undefined ? undefined : this.#context.options.filter?.snapshot;
      if (filter) isFiltered = !this.#goesToShadow(filter, traits, entry, keyspace, frame, flagsAt, to);
      if (entry && entry.sent.calls.length > 0) {
        frame = settledExecute(frame, from, to, flagsAt - 2, entry.sent.calls, this.#context.clock.now(), this.#timeUuids);
        flagsAt -= from;
        from = 0;
        to = frame.length;
      }
      if (kind === requestKinds.write && (flags & queryFlags.timestamp) === 0) {
        counts.stamped += 1;
        frame = stamped(frame, from, to, flagsAt, timestamps.next());
        from = 0;
        to = frame.length;
      }
    }
    const request = this.#new(frame, from, to, buffer.readUInt8(start + 4), kind, plan, keyspace);
    request.stream = stream;
    request.entry = entry;
    if (entry) request.statements = entry.alone;
    request.isUnrepeatable = isUnrepeatable;
    if (isFiltered) this.#withoutShadow(request);
    if (plan.shadow !== undefined && (entry ? entry.isOrdered : isOrdered(traits.facts, []))) {
      request.laneTable = oneTable(tablesOf(traits, keyspace));
      request.laneKey = entry && !traits.facts.batch ? partitionOf(entry, buffer, parametersAt, end) : ANY_KEY;
    }
    if (kind === requestKinds.schema && !this.#isNoted(request, touchedBy(traits, keyspace))) return;
    const tables = traits.isTruncate || this.#context.requests.truncating.size > 0 ? tablesOf(traits, keyspace) : noTables;
    if (traits.isTruncate && request.plan.shadow !== undefined) [request.truncates = ''] = tables;
    this.#begin(request, tables);
  }

  #goesToShadow(filter: FilterSnapshot, traits: StatementTraits, entry: PreparedEntry | undefined, keyspace: string, frame: Buffer, flagsAt: number, end: number): boolean {
    const rule = entry ? entry.ruleIn(filter) : filter.rule(traits.keyspace === '' ? keyspace : traits.keyspace, traits.facts, []);
    if (rule === 'pass' || rule === 'skip') return rule === 'pass';
    findParameters(frame, flagsAt - 2, end, places);
    return rule.goesToShadow(frame, places.valuesAt, places.valueCount, (frame.readUInt8(flagsAt) & queryFlags.names) !== 0);
  }

  #prepare(buffer: Buffer, start: number, end: number, messageAt: number): void {
    const { registry, modes } = this.#context;
    const { keyspace } = this.#session;
    const textEnd = messageAt + 4 + buffer.readInt32BE(messageAt);
    if (textEnd !== end) throw new RangeError('the body does not end with the text');
    const stream = buffer.readInt16BE(start + 2);
    const entry = registry.entryOf(keyspace, buffer.toString('utf8', messageAt + 4, textEnd));
    if (entry.isVirtual) {
      this.#virtual(stream, prepareVirtual(entry.id, this.#session.version, entry.traits.facts, this.#session.virtual));
      return;
    }
    if (entry.traits.isUse) {
      this.#session.reply(stream, opcodes.error, errorBody(errorCodes.invalid, 'USE cannot be prepared: send it as a query'));
      return;
    }
    const plan = entry.planIn(modes);
    if (typeof plan === 'string') {
      this.#refuse(stream, plan);
      return;
    }
    const filter = this.#context.options.filter?.snapshot;
    // What the shadow never gets it need not know: it may not even have the table.
    const isOfPrimary = entry.traits.kind === requestKinds.read || (filter !== undefined && entry.ruleIn(filter) === 'skip');
    const request = this.#new(buffer, start, end, opcodes.prepare, requestKinds.prepare, isOfPrimary ? (plan.primary === 0 ? plans.SourceOnly : plans.TargetOnly) : plan, keyspace);
    request.stream = stream;
    request.entry = entry;
    this.#begin(request, []);
  }

  #batch(buffer: Buffer, start: number, end: number, messageAt: number): void {
    const { registry, texts, modes, counts, timestamps, options } = this.#context;
    const { keyspace } = this.#session;
    const stream = buffer.readInt16BE(start + 2);
    let batch = readBatch(buffer, messageAt, end, keyspace, modes, registry, texts, this.#session.version);
    if ('unknownId' in batch) {
      counts.unknownIds += 1;
      this.#session.reply(stream, opcodes.error, unpreparedBody('the proxy does not know this prepared statement', batch.unknownId));
      return;
    }
    const plan = 'reason' in batch ? batch.reason : batch.plan(modes);
    if (typeof plan === 'string' || 'reason' in batch) {
      this.#refuse(stream, String(plan));
      return;
    }
    let frame = buffer;
    let from = start;
    let to = end;
    // Before the calls are settled: the filter counts values as the client does.
    const filter = plan.shadow === undefined ? undefined : options.filter?.snapshot;
    if (filter) this.#filterChildren(filter, batch, frame);
    const { parts } = batch;
    if (parts.some(({ entry, traits }) => (entry ? entry.sent.calls.length > 0 : traits.isUnrepeatable && plan.shadow !== undefined))) {
      frame = settledBatch(buffer, start, end, batch.places, parts, this.#context.clock.now(), this.#timeUuids);
      from = 0;
      to = frame.length;
      const settled = readBatch(frame, messageAt - start, to, keyspace, modes, registry, texts);
      if ('parts' in settled) batch = new BatchStatement(settled.places, settled.parts, batch.withoutShadow);
    }
    const kind = batch.isUnknown ? requestKinds.schema : batch.isConditional ? requestKinds.conditional : requestKinds.write;
    if (kind === requestKinds.write && batch.places.timestampAt < 0) {
      counts.stamped += 1;
      frame = stamped(frame, from, to, batch.places.flagsAt, timestamps.next());
      batch = batch.at(movedBatch(batch.places, -from));
      from = 0;
      to = frame.length;
    }
    const request = this.#new(frame, from, to, opcodes.batch, kind, plan, keyspace);
    request.stream = stream;
    if (kind === requestKinds.schema && !this.#isNoted(request, [''])) return;
    request.batch = batch;
    request.statements = batch.sharedEntries;
    request.isUnrepeatable = plan.shadow !== undefined && batch.isUnrepeatable;
    const ordered = plan.shadow === undefined ? [] : batch.parts.filter(({ entry, traits }) => (entry ? entry.isOrdered : isOrdered(traits.facts, [])));
    if (ordered.length > 0) {
      request.laneTable = oneTable(ordered.map(({ keyspace: own, table }) => `${own}.${table}`));
      request.laneKey = ANY_KEY;
    }
    if (batch.parts.length > 0 && batch.withoutShadow.size === batch.parts.length) this.#withoutShadow(request);
    this.#begin(request, this.#context.requests.truncating.size > 0 ? batch.parts.map(({ keyspace: own, table }) => `${own}.${table}`) : []);
  }

  #filterChildren(filter: FilterSnapshot, batch: BatchStatement, frame: Buffer): void {
    batch.parts.forEach(({ traits, entry, keyspace }, index) => {
      const child = batch.places.children[index];
      const rule = entry ? entry.ruleIn(filter) : filter.rule(keyspace, traits.facts, []);
      if (child && (rule === 'skip' || (rule !== 'pass' && !rule.goesToShadow(frame, child.valuesAt, child.valueCount, false)))) batch.withoutShadow.add(index);
    });
    if (batch.withoutShadow.size > 0) this.#context.counts.filtered += 1;
  }

  #withoutShadow(request: Request): void {
    this.#context.counts.filtered += 1;
    request.isFiltered = true;
    request.plan = request.plan.primary === 0 ? plans.SourceOnly : plans.TargetOnly;
  }

  #new(frame: Buffer, start: number, end: number, opcode: number, kind: RequestKind, plan: Plan, keyspace: string): Request {
    const request = this.#context.requests.take();
    request.owner = this.#session;
    request.frame = frame;
    request.start = start;
    request.end = end;
    request.messageAt = messageStart(frame, start, end);
    request.opcode = opcode;
    request.kind = kind;
    request.plan = kind === requestKinds.schema && this.#context.options.schemaChanges === 'primary' ? (plan.primary === 0 ? plans.SourceOnly : plans.TargetOnly) : plan;
    request.pools = this.#session.poolsIn(keyspace);
    return request;
  }

  /** Why the request cannot be begun now. `tables`: those that it writes, as far as something hangs on them. */
  #obstacle(request: Request, tables: readonly string[]): readonly [code: number, reason: string] | undefined {
    const { requests, options, counts } = this.#context;
    if (requests.bytes + request.bytes > options.limits.requestBytes) {
      counts.shed += 1;
      return [errorCodes.overloaded, `MIG085: requests of ${options.limits.requestBytes} bytes are in hand`];
    }
    if (request.truncates !== '' && (options.intents.state().depth > 0 || requests.hasSharedWrites)) {
      // What is still to be written there was written before the truncation, and would come back after it.
      return [errorCodes.invalid, 'MIG074: TRUNCATE has to wait until no write for both clusters is under way and the log of writes is empty: they are older than the truncation. Try again when nothing is queued'];
    }
    if (requests.truncating.size === 0) return undefined;
    const truncated = request.plan.shadow === undefined || request.kind === requestKinds.read ? undefined : tables.find((table) => requests.truncating.has(table));
    // One cluster would take it before its truncation and the other one after.
    return truncated === undefined ? undefined : [errorCodes.overloaded, `MIG082: ${truncated} is being truncated on both clusters`];
  }

  /** Whether the statement is noted as one without keys. If it cannot be, it does not leave: no comparison by keys would see what it has changed. */
  #isNoted(request: Request, names: readonly string[]): boolean {
    try {
      if (names.length > 0) this.#context.options.touched?.(names);
      return true;
    } catch (error) {
      this.#session.reply(request.stream, opcodes.error, errorBody(errorCodes.overloaded, `MIG085: the log of keys cannot be written: ${error instanceof Error ? error.message : String(error)}`));
      this.#context.requests.giveBack(request);
      return false;
    }
  }

  #begin(request: Request, tables: readonly string[]): void {
    const { requests, counts, turn, flow } = this.#context;
    const obstacle = this.#obstacle(request, tables);
    if (obstacle) {
      this.#session.reply(request.stream, opcodes.error, errorBody(...obstacle));
      requests.giveBack(request);
      return;
    }
    if (request.plan.shadow !== undefined && request.kind !== requestKinds.read) request.atMs = turn.wallMs;
    if (request.isUnrepeatable) counts.unrepeatable += 1;
    counts.requests[request.opcode] = (counts.requests[request.opcode] ?? 0) + 1;
    this.#session.began();
    flow.begin(request);
  }

  /** Of a virtual table, whose parameters begin there. */
  #select(stream: number, facts: CqlStatement, buffer: Buffer, parametersAt: number, end: number): void {
    findParameters(buffer, parametersAt, end, places);
    const hasNames = (buffer.readUInt8(places.flagsAt) & queryFlags.names) !== 0;
    this.#virtual(stream, selectVirtual(facts, this.#session.virtual, places.valueCount > 0 ? readValues(buffer, places.valuesAt, end, places.valueCount, hasNames) : []));
  }

  #virtual(stream: number, { opcode, body }: VirtualAnswer): void {
    this.#session.reply(stream, opcode, body);
  }

  #refuse(stream: number, reason: string): void {
    this.#session.reply(stream, opcodes.error, errorBody(errorCodes.invalid, `MIG081: ${reason}`));
  }
}

