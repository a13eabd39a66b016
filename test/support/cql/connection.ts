/** One client of the mock cluster: handshake, then requests, each answered under its stream. */
import type * as net from 'node:net';
import type { Modification, Statement } from './ast.ts';
import { bindSpecs, partitionKeyMarkers } from './binds.ts';
import { Reader, Writer } from './bytes.ts';
import { compress, decompress } from './compression.ts';
import type { Compression } from './compression.ts';
import { codes, CqlError, errorOf, invalid } from './cql-error.ts';
import type { Execution, NodeAddress, Result } from './database.ts';
import type { FaultAction, Opcode } from './faults.ts';
import { flags, FrameReader, frameBytes, opcodes, preparedBody, readParameters, resultBody, schemaChange } from './frames.ts';
import type { Frame, QueryParameters } from './frames.ts';
import type { MockCluster, Prepared } from './mock-cluster.ts';
import { resultColumns } from './select.ts';

interface Answer { readonly opcode: number; readonly body: Buffer }

/** A request that is read and not yet done. */
interface Request {
  readonly opcode: Opcode;
  readonly text: string;
  readonly isWrite: boolean;
  readonly parameters: Partial<QueryParameters>;
  /** Ids that it uses. */
  readonly ids: readonly Buffer[];
  run(): Answer;
}

const names: ReadonlyMap<number, Opcode> = new Map(Object.entries(opcodes).map(([name, code]) => [code, name as Opcode]));

export class Connection {
  readonly #cluster: MockCluster;
  readonly #socket: net.Socket;
  readonly #here: NodeAddress;
  readonly #id: number;
  readonly #frames = new FrameReader();
  readonly #events = new Set<string>();
  #version = 4;
  #compression: Compression | undefined;
  #keyspace: string | undefined;
  #state: 'new' | 'asked' | 'ready' = 'new';

  constructor(cluster: MockCluster, socket: net.Socket, here: NodeAddress, id: number) {
    this.#cluster = cluster;
    this.#socket = socket;
    this.#here = here;
    this.#id = id;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => this.#read(bytes));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  sendEvent(event: Parameters<MockCluster['emit']>[0]): void {
    if (!this.#events.has(event.kind)) return;
    const body = new Writer().string(event.kind);
    if (event.kind === 'SCHEMA_CHANGE') schemaChange(body, event.change);
    else body.string(event.what).u8(4).raw(Buffer.from(event.address.split('.').map(Number))).i32(this.#cluster.port);
    this.#send(-1, { opcode: opcodes.EVENT, body: body.done() }, 0);
  }

  #read(bytes: Buffer): void {
    let found: Frame[];
    try {
      found = this.#frames.push(bytes);
    } catch {
      this.#socket.destroy();
      return;
    }
    this.#socket.cork();
    for (const frame of found) {
      if (this.#cluster.isPaused) this.#cluster.hold(() => this.#receive(frame));
      else this.#receive(frame);
    }
    this.#socket.uncork();
  }

  #receive(frame: Frame): void {
    const version = frame.version & 0x7f;
    if (version > 4 || version < 3) {
      this.#version = 4;
      const message = `Invalid or unsupported protocol version (${version}); supported versions are (3/v3, 4/v4)`;
      this.#send(frame.stream, errorAnswer(new CqlError(codes.protocol, message)), 0);
      return;
    }
    this.#version = version;
    const isTraced = (frame.flags & flags.tracing) !== 0;
    let request: Request;
    try {
      request = this.#request(frame);
    } catch (error) {
      this.#send(frame.stream, errorAnswer(asCqlError(error)), 0);
      return;
    }
    const { counts } = this.#cluster;
    counts[request.opcode] = (counts[request.opcode] ?? 0) + 1;
    const { timestamp, consistency, values = [] } = request.parameters;
    this.#cluster.onRequest?.({ connection: this.#id, version, flags: frame.flags, stream: frame.stream, opcode: request.opcode, text: request.text, keyspace: this.#keyspace, timestamp, consistency, values });
    this.#answer(frame.stream, request, isTraced, this.#cluster.faults.find(request));
  }

  /** Does the request, or what the fault makes of it. */
  #answer(stream: number, request: Request, isTraced: boolean, fault: FaultAction | undefined): void {
    const reply = (answer: Answer): void => this.#send(stream, answer, isTraced ? flags.tracing : 0);
    const run = (): Answer => {
      try {
        return request.run();
      } catch (error) {
        return errorAnswer(asCqlError(error));
      }
    };
    switch (fault?.kind) {
      case undefined: return reply(run());
      case 'delay': {
        setTimeout(() => reply(run()), fault.ms);
        return undefined;
      }
      case 'drop': return undefined;
      case 'lose': {
        run();
        return undefined;
      }
      case 'error': return reply(errorAnswer(errorOf(fault.code, fault.message ?? 'on purpose', request.parameters.consistency)));
      case 'done-but-error': {
        run();
        return reply(errorAnswer(errorOf(fault.code, fault.message ?? 'on purpose, though it was done', request.parameters.consistency)));
      }
      case 'pretend': return reply({ opcode: opcodes.RESULT, body: new Writer().i32(1).done() });
      case 'damage': {
        run();
        return reply({ opcode: opcodes.RESULT, body: new Writer().i32(2).i32(0).i32(1).u16(30_900).done() });
      }
      case 'unprepared': {
        for (const id of request.ids) this.#cluster.prepared.delete(id.toString('hex'));
        return reply(run());
      }
      case 'disconnect': {
        if (fault.when === 'before') return this.destroy();
        const answer = run();
        if (fault.when === 'after') return this.destroy();
        const bytes = frameBytes({ version: this.#version | 0x80, flags: 0, stream, opcode: answer.opcode, body: answer.body });
        // Nothing comes behind half an answer: end() writes no more, and what others would say is lost with the connection.
        this.#socket.end(bytes.subarray(0, Math.max(1, bytes.length >> 1)), () => this.destroy());
        return undefined;
      }
    }
  }

  #send(stream: number, { opcode, body }: Answer, flagBits: number): void {
    let bits = flagBits;
    const front = new Writer();
    if (bits & flags.tracing) front.raw(this.#cluster.database.salt).raw(this.#cluster.database.salt);
    if (this.#version >= 4 && opcode === opcodes.RESULT && this.#cluster.warnings.length > 0) {
      bits |= flags.warning;
      front.stringList(this.#cluster.warnings);
    }
    if (this.#version >= 4 && opcode === opcodes.RESULT && this.#cluster.payload.size > 0) {
      bits |= flags.payload;
      front.u16(this.#cluster.payload.size);
      for (const [key, value] of this.#cluster.payload) front.string(key).bytes(value);
    }
    let whole = front.length > 0 ? Buffer.concat([front.done(), body]) : body;
    if (this.#compression && whole.length > 0 && this.#state === 'ready') {
      whole = compress(this.#compression, whole);
      bits |= flags.compressed;
    }
    const bytes = frameBytes({ version: this.#version | 0x80, flags: bits, stream, opcode, body: whole });
    if (!this.#socket.writable) return;
    if (this.#cluster.isChunked) for (const byte of bytes) this.#socket.write(Buffer.of(byte));
    else this.#socket.write(bytes);
  }

  /** Reads a body; what it says is done by the request's `run`. */
  #request(frame: Frame): Request {
    const opcode = names.get(frame.opcode);
    let { body } = frame;
    if (frame.flags & flags.compressed) {
      if (!this.#compression) throw new CqlError(codes.protocol, 'a compressed frame on a connection without compression');
      body = decompress(this.#compression, body);
    }
    const reader = new Reader(body);
    if (frame.flags & flags.payload) for (let left = reader.u16(); left > 0; left -= 1) {
      reader.string();
      reader.bytes();
    }
    if (frame.stream < 0) throw new CqlError(codes.protocol, `Invalid stream id ${frame.stream}`);
    if (this.#state !== 'ready' && opcode !== 'OPTIONS' && opcode !== 'STARTUP' && opcode !== 'AUTH_RESPONSE') throw new CqlError(codes.protocol, `Unexpected message ${opcode ?? frame.opcode}, expecting STARTUP or OPTIONS`);
    switch (opcode) {
      case 'OPTIONS': return plain(opcode, () => this.#supported());
      case 'STARTUP': return plain(opcode, () => this.#startup(reader));
      case 'AUTH_RESPONSE': return plain(opcode, () => this.#authenticate(reader.bytes()));
      case 'REGISTER': return plain(opcode, () => {
        for (let left = reader.u16(); left > 0; left -= 1) this.#events.add(reader.string());
        return { opcode: opcodes.READY, body: Buffer.alloc(0) };
      });
      case 'QUERY': return this.#query(reader);
      case 'PREPARE': {
        const text = reader.longString();
        return { opcode, text, isWrite: false, parameters: {}, ids: [], run: () => this.#prepare(text) };
      }
      case 'EXECUTE': return this.#execute(reader);
      case 'BATCH': return this.#batch(reader);
      default: throw new CqlError(codes.protocol, `Unknown opcode ${frame.opcode}`);
    }
  }

  #supported(): Answer {
    const { isScylla } = this.#cluster.database.traits;
    const options: [string, readonly string[]][] = [['CQL_VERSION', ['3.4.4']], ['COMPRESSION', this.#cluster.options.compressions ?? ['lz4', 'snappy']], ['PROTOCOL_VERSIONS', ['3/v3', '4/v4']]];
    if (isScylla) options.push(['SCYLLA_SHARD', ['0']], ['SCYLLA_NR_SHARDS', ['2']], ['SCYLLA_PARTITIONER', ['org.apache.cassandra.dht.Murmur3Partitioner']], ['SCYLLA_SHARDING_ALGORITHM', ['biased-token-round-robin']], ['SCYLLA_SHARDING_IGNORE_MSB', ['12']], ['SCYLLA_SHARD_AWARE_PORT', ['19042']], ['SCYLLA_LWT_ADD_METADATA_MARK', ['LWT_OPTIMIZATION_META_BIT_MASK=2147483648']], ['SCYLLA_RATE_LIMIT_ERROR', ['ERROR_CODE=61440']]);
    const body = new Writer().u16(options.length);
    for (const [key, values] of options) body.string(key).stringList(values);
    return { opcode: opcodes.SUPPORTED, body: body.done() };
  }

  #startup(reader: Reader): Answer {
    const options = new Map<string, string>();
    for (let left = reader.u16(); left > 0; left -= 1) options.set(reader.string().toUpperCase(), reader.string());
    if (!options.has('CQL_VERSION')) throw new CqlError(codes.protocol, 'Missing value CQL_VERSION in STARTUP message');
    const wanted = options.get('COMPRESSION')?.toLowerCase();
    if (wanted !== undefined && wanted !== '') {
      const known = (this.#cluster.options.compressions ?? ['lz4', 'snappy']).find((each) => each === wanted);
      if (!known) throw new CqlError(codes.protocol, `Unknown compression algorithm: ${wanted}`);
      this.#compression = known;
    }
    if (this.#cluster.options.users) {
      this.#state = 'asked';
      return { opcode: opcodes.AUTHENTICATE, body: new Writer().string('org.apache.cassandra.auth.PasswordAuthenticator').done() };
    }
    return this.#ready({ opcode: opcodes.READY, body: Buffer.alloc(0) });
  }

  #authenticate(token: Buffer | null): Answer {
    const [, user = '', password = ''] = (token?.toString() ?? '').split('\0');
    const known = this.#cluster.options.users;
    if (this.#state !== 'asked' || !known || !Object.hasOwn(known, user) || known[user] !== password) throw new CqlError(codes.credentials, `Provided username ${user} and/or password are incorrect`);
    return this.#ready({ opcode: opcodes.AUTH_SUCCESS, body: new Writer().bytes(null).done() });
  }

  /** The answer to the handshake itself is not compressed. */
  #ready(answer: Answer): Answer {
    queueMicrotask(() => { this.#state = 'ready'; });
    return answer;
  }

  #query(reader: Reader): Request {
    const text = reader.longString();
    const parameters = readParameters(reader);
    return { opcode: 'QUERY', text, isWrite: isWriteText(text), parameters, ids: [], run: () => {
      const parsed = this.#cluster.parse(text);
      return this.#result(this.#cluster.database.execute(parsed.statement, this.#execution(parameters, bindsOf(parameters, parsed.bindNames), this.#keyspace)), false);
    } };
  }

  #prepare(text: string): Answer {
    const { database } = this.#cluster;
    const parsed = this.#cluster.parse(text);
    const { statement } = parsed;
    const specs = this.#specs(statement, parsed.bindNames.length);
    const table = 'table' in statement && statement.is !== 'create table' && statement.is !== 'create type' && statement.is !== 'drop type' && statement.is !== 'drop table' ? database.table(statement.table, this.#keyspace, this.#here) : undefined;
    const columns = statement.is === 'select' && table ? resultColumns(table, statement) : undefined;
    const id = this.#cluster.preparedId(this.#keyspace, text);
    this.#cluster.prepared.set(id.toString('hex'), { id, keyspace: this.#keyspace, parsed });
    return { opcode: opcodes.RESULT, body: preparedBody(id, specs, table ? partitionKeyMarkers(statement, table) : [], columns, table, this.#version, (keyspace) => database.userTypes(keyspace)) };
  }

  #specs(statement: Statement, count: number): ReturnType<typeof bindSpecs> {
    const { database } = this.#cluster;
    const keyspace = 'table' in statement ? statement.table.keyspace ?? this.#keyspace : this.#keyspace;
    return bindSpecs(statement, count, ({ table }) => database.table(table, this.#keyspace, this.#here), (name) => database.userTypes(keyspace ?? '')(name));
  }

  #execute(reader: Reader): Request {
    const id = Buffer.from(reader.shortBytes());
    const parameters = readParameters(reader);
    const text = this.#cluster.prepared.get(id.toString('hex'))?.parsed.text ?? '';
    return { opcode: 'EXECUTE', text, isWrite: isWriteText(text), parameters, ids: [id], run: () => {
      const { parsed, keyspace } = this.#known(id);
      const binds = bindsOf(parameters, parsed.bindNames);
      return this.#result(this.#cluster.database.execute(parsed.statement, this.#execution(parameters, binds, keyspace)), parameters.skipMetadata);
    } };
  }

  #known(id: Buffer): Prepared {
    const prepared = this.#cluster.prepared.get(id.toString('hex'));
    if (!prepared) throw new CqlError(codes.unprepared, `Prepared query with ID ${id.toString('hex')} not found (either the query was not prepared on this host (maybe the host has been restarted?) or you have prepared too many queries and it has been evicted from the internal cache)`, new Writer().shortBytes(id).done());
    return prepared;
  }

  #batch(reader: Reader): Request {
    const type = (['logged', 'unlogged', 'counter'] as const)[reader.u8()];
    if (type === undefined) throw new CqlError(codes.protocol, 'Invalid batch type');
    const children: { readonly id?: Buffer; readonly text: string; readonly values: (Buffer | null | undefined)[] }[] = [];
    for (let left = reader.u16(); left > 0; left -= 1) {
      const isPrepared = reader.u8() === 1;
      const id = isPrepared ? Buffer.from(reader.shortBytes()) : undefined;
      const text = id ? this.#cluster.prepared.get(id.toString('hex'))?.parsed.text ?? '' : reader.longString();
      const values: (Buffer | null | undefined)[] = [];
      for (let count = reader.u16(); count > 0; count -= 1) values.push(reader.value());
      children.push({ ...(id && { id }), text, values });
    }
    const consistency = reader.u16();
    const bits = reader.u8();
    if (bits & 0x10) reader.u16();
    const timestamp = bits & 0x20 ? reader.i64() : undefined;
    if (!reader.isEnd) throw new RangeError('bytes behind a batch');
    const parameters = { consistency, timestamp, values: children.flatMap(({ values }) => values) };
    return { opcode: 'BATCH', text: children.map(({ text }) => text).join('; '), isWrite: true, parameters, ids: children.flatMap(({ id }) => (id ? [id] : [])), run: () => {
      const statements = children.map(({ id, text, values }): Modification => {
        const parsed = id ? this.#known(id).parsed : this.#cluster.parse(text);
        const keyspace = id ? this.#known(id).keyspace : this.#keyspace;
        const { statement } = parsed;
        if (statement.is !== 'insert' && statement.is !== 'update' && statement.is !== 'delete') throw invalid('Invalid statement in batch: only UPDATE, INSERT and DELETE statements are allowed.');
        if (values.length !== parsed.bindNames.length) throw invalid(`There were ${parsed.bindNames.length} markers(?) in CQL but ${values.length} bound variables`);
        return { ...statement, table: { keyspace: statement.table.keyspace ?? keyspace, name: statement.table.name } };
      });
      const { database } = this.#cluster;
      const execution = this.#execution({ timestamp }, [], this.#keyspace);
      for (const { table } of statements) if (database.table(table, this.#keyspace, this.#here).isCounter !== (type === 'counter')) throw invalid(type === 'counter' ? 'Cannot include non-counter statement in a counter batch' : 'Cannot include a counter statement in a logged batch');
      return this.#result(database.write(statements, execution, undefined, children.map(({ values }) => values)), false);
    } };
  }

  #execution(parameters: Partial<QueryParameters>, binds: Execution['binds'], keyspace: string | undefined): Execution {
    return { keyspace, binds, timestamp: parameters.timestamp, pageSize: parameters.pageSize, pagingState: parameters.pagingState, here: this.#here };
  }

  #result(result: Result, skipMetadata: boolean): Answer {
    if (result.is === 'keyspace') this.#keyspace = result.keyspace;
    // Whoever waits for the event must not have it before the answer to his own statement.
    if (result.is === 'schema') setImmediate(() => this.#cluster.emit({ kind: 'SCHEMA_CHANGE', change: result }));
    return { opcode: opcodes.RESULT, body: resultBody(result, this.#version, (keyspace) => this.#cluster.database.userTypes(keyspace), skipMetadata) };
  }
}

function plain(opcode: Opcode, run: () => Answer): Request {
  return { opcode, text: '', isWrite: false, parameters: {}, ids: [], run };
}

function isWriteText(text: string): boolean {
  return /^\s*(?:insert|update|delete|begin|truncate)\b/i.test(text);
}

/** In the markers' order, also when they came by name. */
function bindsOf({ values, names }: QueryParameters, bindNames: readonly string[]): readonly (Buffer | null | undefined)[] {
  if (names) return bindNames.map((name) => {
    const at = names.indexOf(name);
    if (at < 0) throw invalid(`No value for marker ${name}`);
    return values[at];
  });
  if (values.length !== bindNames.length) throw invalid(`Invalid amount of bind variables: ${values.length} instead of ${bindNames.length}`);
  return values;
}

function errorAnswer({ code, message, rest }: CqlError): Answer {
  return { opcode: opcodes.ERROR, body: new Writer().i32(code).string(message).raw(rest).done() };
}

function asCqlError(error: unknown): CqlError {
  if (error instanceof CqlError) return error;
  if (error instanceof RangeError) return new CqlError(codes.protocol, error.message);
  return new CqlError(codes.server, error instanceof Error ? error.stack ?? error.message : String(error));
}
