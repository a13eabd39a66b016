/**
 * A cluster of one node for `bench cql` that does next to nothing: what reaches it is counted and answered, every EXECUTE with the same bytes. All answers to what has come in one piece go
 * out in one piece. Arguments: port, name. Messages: anything in, what was counted out.
 */
import { createHash } from 'node:crypto';
import * as net from 'node:net';
import { BodyReader } from '../../../src/wire/cql/body-reader.ts';
import { BodyWriter } from '../../../src/wire/cql/body-writer.ts';
import { errorBody, errorCodes } from '../../../src/wire/cql/error-body.ts';
import { ANSWER_BIT, HEADER_BYTES, makeFrame, opcodes } from '../../../src/wire/cql/frame.ts';
import { resultKinds, setKeyspaceBody, voidBody } from '../../../src/wire/cql/result-body.ts';
import { insertText, preparedAnswerBody, rowAnswerBody, VERSION } from './workload.ts';

export interface ClusterCounts {
  readonly writes: number;
  readonly reads: number;
}

const [port = 0, name = ''] = [Number(process.argv[2]), process.argv[3]];
const BLOCK_BYTES = 256 * 1024;
const answer = (body: Buffer): Buffer => makeFrame({ version: VERSION | ANSWER_BIT, stream: 0, opcode: opcodes.result }, body);
const written = answer(voidBody());
const read = answer(rowAnswerBody());
let [writes, reads] = [0, 0];
process.on('message', () => process.send?.({ writes, reads } satisfies ClusterCounts));

/** An id of this cluster's own; its last byte says what the statement is. */
function idOf(text: string): Buffer {
  const id = createHash('md5').update(name).update(text).digest();
  id[15] = text === insertText ? 1 : 0;
  return id;
}

const text = (value: string): Buffer => Buffer.from(value);
const uuid = (): Buffer => createHash('md5').update(name).digest();
/** `system.local`: type id, and the value. */
const local = new Map<string, readonly [type: readonly number[], value: Buffer]>([
  ['key', [[0x0d], text('local')]], ['bootstrapped', [[0x0d], text('COMPLETED')]], ['broadcast_address', [[0x10], Buffer.from([127, 0, 0, 1])]], ['cluster_name', [[0x0d], text(name)]],
  ['cql_version', [[0x0d], text('3.4.4')]], ['data_center', [[0x0d], text('dc1')]], ['host_id', [[0x0c], uuid()]], ['listen_address', [[0x10], Buffer.from([127, 0, 0, 1])]],
  ['native_protocol_version', [[0x0d], text('4')]], ['partitioner', [[0x0d], text('org.apache.cassandra.dht.Murmur3Partitioner')]], ['rack', [[0x0d], text('rack1')]],
  ['release_version', [[0x0d], text('4.0.0')]], ['rpc_address', [[0x10], Buffer.from([127, 0, 0, 1])]], ['schema_version', [[0x0c], uuid()]],
  ['tokens', [[0x22, 0x0d], new BodyWriter(16).int(1).bytes(text('0')).done()]],
]);

function queryBody(query: string): Buffer {
  const use = /^USE "?(\w+)"?/i.exec(query);
  if (use) return setKeyspaceBody(use[1] ?? '');
  const [, list = '*', table = ''] = /^SELECT (.+) FROM system\.(local|peers)/i.exec(query) ?? [];
  const shown = list === '*' ? [...local.keys()] : list.split(',').map((each) => each.trim()).filter((each) => local.has(each));
  const out = new BodyWriter(1024).int(resultKinds.rows).int(1).int(shown.length).string('system').string(table);
  for (const column of shown) {
    out.string(column);
    for (const id of local.get(column)?.[0] ?? []) out.short(id);
  }
  out.int(table === 'local' ? 1 : 0);
  if (table === 'local') for (const column of shown) out.bytes(local.get(column)?.[1]);
  return out.done();
}

/** Everything that is said once per connection. */
function slowAnswer(frame: Buffer): Buffer {
  const [version, stream, opcode] = [frame.readUInt8(0), frame.readInt16BE(2), frame.readUInt8(4)];
  const say = (what: number, body?: Buffer): Buffer => makeFrame({ version: version | ANSWER_BIT, stream, opcode: what }, body);
  if (version > VERSION) return makeFrame({ version: VERSION | ANSWER_BIT, stream, opcode: opcodes.error }, errorBody(errorCodes.protocol, `Invalid or unsupported protocol version (${version}); the lowest supported version is 3 and the greatest is 4`));
  const body = new BodyReader(frame, HEADER_BYTES);
  switch (opcode) {
    case opcodes.options: return say(opcodes.supported, new BodyWriter(64).stringMultimap(new Map([['CQL_VERSION', ['3.4.4']], ['COMPRESSION', []]])).done());
    case opcodes.startup: case opcodes.register: return say(opcodes.ready);
    case opcodes.query: return say(opcodes.result, queryBody(body.longString()));
    case opcodes.prepare: {
      const prepared = body.longString();
      return say(opcodes.result, preparedAnswerBody(idOf(prepared), version, prepared === insertText));
    }
    default: return say(opcodes.error, errorBody(errorCodes.protocol, `opcode ${opcode}`));
  }
}

let block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
let blockEnd = 0;

function serve(socket: net.Socket): void {
  let tail: Buffer | undefined;
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    const bytes = tail ? Buffer.concat([tail, chunk]) : chunk;
    tail = undefined;
    // No answer to EXECUTE is longer than what it answers by more than this.
    if (block.length - blockEnd < bytes.length * 4 + 4096) {
      block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes.length * 4 + 4096));
      blockEnd = 0;
    }
    const from = blockEnd;
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 5);
      if (end > bytes.length) break;
      if (bytes[at + 4] === opcodes.execute) {
        const isWrite = bytes[at + HEADER_BYTES + 17] === 1;
        if (isWrite) writes += 1;
        else reads += 1;
        const said = isWrite ? written : read;
        said.copy(block, blockEnd);
        block[blockEnd + 2] = bytes[at + 2] ?? 0;
        block[blockEnd + 3] = bytes[at + 3] ?? 0;
        blockEnd += said.length;
      } else blockEnd += slowAnswer(bytes.subarray(at, end)).copy(block, blockEnd);
      at = end;
    }
    if (at < bytes.length) tail = at === 0 ? bytes : Buffer.from(bytes.subarray(at));
    if (blockEnd > from) socket.write(block.subarray(from, blockEnd));
  });
}

net.createServer({ noDelay: true }, serve).listen({ host: '127.0.0.1', port, backlog: 511 }, () => process.send?.('ready'));
process.once('disconnect', () => process.exit(0));
// Ctrl-C reaches every process of the terminal; the benchmark ends this one when its turn has come.
process.on('SIGINT', () => undefined);
