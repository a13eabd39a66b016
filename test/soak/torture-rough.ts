/** What a client of the torture run does to a connection that it does not mean to keep: cancels, half-closed and destroyed sockets, broken logins, backends that are killed. */
import { setTimeout as delay } from 'node:timers/promises';
import { b, copyData, e, h, p, q, s, x } from '../session/raw-client.ts';
import { writeCancelRequest, writeSslRequest, writeStartup } from '../../src/wire/startup-packet.ts';
import { Closed, TortureClient, WrongAnswer, expectLines } from './torture-client.ts';
import type { LogTable, Sides } from './torture-ledger.ts';
import type { Turn } from './torture-turn.ts';

/** `client` is a fresh one, of this move alone. */
export type RoughMove = (turn: Turn, sides: Sides) => Promise<void>;

const letMeSee = (turn: Turn): Promise<void> => delay(turn.random.below(60));

/** A cancel at any moment of a statement on either side, of a wait for a commit, of nothing at all. */
export const cancels: RoughMove = async (turn) => {
  const { client, random, token, ledger, port } = turn;
  const one = token();
  const table = random.pick(['on_dual', 'on_local', 'on_source'] as const);
  const slow = random.pick(['SELECT pg_sleep(0.2)', 'SELECT pg_sleep(0.2) FROM marks_local', `INSERT INTO ${table} SELECT '${one}' FROM pg_sleep(0.05)`, `COPY (SELECT g FROM generate_series(1, 100000) g) TO STDOUT`]);
  const writes = slow.startsWith('INSERT');
  if (writes) ledger.note(one, 'unknown', table);
  const asked = random.chance(0.5) ? client.ask(q(slow)) : client.ask([p('', slow), b('', ''), e(''), s]);
  await delay(random.below(120));
  const cancelled = client.cancel(port);
  const lines = await asked;
  await cancelled;
  const failed = lines.includes('E:57014');
  if (lines.at(-1) !== 'Z:I' || (!failed && !lines.some((line) => line.startsWith('C:')))) expectLines(client, lines, ['C:…', 'Z:I']);
  if (writes) ledger.note(one, failed ? 'rolled back' : 'committed', table);
  // The request may still be on its way to the server, and meets what runs there then.
  for (let attempt = 0; ; attempt += 1) {
    const after = await client.ask(q(`SELECT '${one}' FROM marks_local`));
    if (!after.includes('E:57014')) return expectLines(client, after, ['T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
    if (attempt === 3) throw new WrongAnswer(`${client.name}: one cancel has met four statements`);
  }
};

export const strangersCancel: RoughMove = async (turn) => {
  const { client, random, token, port } = turn;
  const one = token();
  const asked = client.ask(q(`SELECT '${one}' FROM pg_sleep(0.1)`));
  const other = await TortureClient.plain(port, 'stranger');
  other.write(writeCancelRequest(client.pid + random.below(2), Buffer.alloc(client.key.length, 1)));
  await other.gone();
  expectLines(client, await asked, ['T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
};

/** The client says that it will send no more, and waits for its answers: a server gives them, or closes; nothing is left either way. */
export const halfClosed: RoughMove = async ({ client, random, token }) => {
  const sql = random.pick([`SELECT '${token()}'`, 'SELECT pg_sleep(0.2)', "SELECT repeat('x', 3000000)", 'BEGIN; LOCK TABLE marks_source IN ACCESS SHARE MODE', 'COPY on_source FROM STDIN', 'SELECT side FROM marks_local']);
  if (random.chance(0.8)) client.write(q(sql));
  if (random.chance(0.3)) client.write(q('SELECT 1').subarray(0, 3));
  client.socket.end();
  await client.gone();
};

/** Gone in the middle of anything. */
export const destroyed: RoughMove = async (turn) => {
  const { client, random, token, ledger } = turn;
  const one = token();
  const from = random.pick(['marks_source', 'marks_dual', 'marks_local']);
  const table = random.pick(['on_source', 'on_dual', 'on_local'] as const);
  switch (random.below(12)) {
    case 0: // In the middle of a Parse.
      client.write(p('', `SELECT '${one}' FROM ${from}`).subarray(0, 5 + random.below(20)));
      break;
    case 1: // Of a Bind, the Parse being there.
      client.write([p('', `SELECT $1::text FROM ${from}`), b('', '', ['x'.repeat(100_000)]).subarray(0, 10 + random.below(90_000))]);
      break;
    case 2: // Of a COPY in.
      client.write(random.chance(0.5) ? q(`COPY ${table} FROM STDIN`) : [p('', `COPY ${table} FROM STDIN`), b('', ''), e(''), s]);
      await client.untilType('G');
      ledger.note(one, 'rolled back', table);
      client.write(copyData(`${one}\n`));
      if (random.chance(0.5)) client.write(copyData('x'.repeat(50_000)).subarray(0, 20_000));
      break;
    case 3: // Of a COPY out, and of rows, read or not.
      client.write(q(random.chance(0.5) ? `COPY (SELECT repeat('x', 1000) FROM ${from}, generate_series(1, 200000)) TO STDOUT` : `SELECT repeat('x', 1000) FROM ${from}, generate_series(1, 200000)`));
      if (random.chance(0.5)) client.socket.pause();
      break;
    case 4: // In an open block, that has written.
      ledger.note(one, 'rolled back', table);
      expectLines(client, [...await client.ask(q('BEGIN')), ...await client.ask(q(`INSERT INTO ${table} VALUES ('${one}')`))], ['C:BEGIN', 'Z:T', 'C:INSERT 0 1', 'Z:T']);
      break;
    case 5: // With a portal held.
      await client.ask(q('BEGIN'));
      expectLines(client, await client.ask([p('', `SELECT g FROM ${from}, generate_series(1, 10) g`), b(one, ''), e(one, 1), s]), ['1', '2', 'D:1', 's', 'Z:T']);
      break;
    case 6: { // While a block commits on both sides.
      const tables: LogTable[] = ['on_source', 'on_local'];
      ledger.note(one, 'unknown', ...tables);
      client.write([q('BEGIN'), ...tables.map((name) => q(`INSERT INTO ${name} VALUES ('${one}')`)), q('COMMIT')]);
      break;
    }
    case 7: // While an autocommit write waits to be seen.
      ledger.note(one, 'unknown', 'on_dual');
      client.write(q(`INSERT INTO on_dual VALUES ('${one}')`));
      break;
    case 8: // With a long pipeline before it.
      client.write(Array.from({ length: 300 }, () => [p('', `SELECT '${one}' FROM ${from}`), b('', ''), e(''), s]).flat());
      break;
    case 9: // While a statement runs.
      client.write(q(`SELECT pg_sleep(30) FROM ${from}`));
      break;
    case 10: // With ten thousand statements, none closed.
      for (let at = 0; at < 20; at += 1) client.write(Array.from({ length: 500 }, (_, index) => p(`s${at * 500 + index}`, `SELECT '${one}' FROM ${from}`)));
      client.write(random.chance(0.5) ? s : h);
      break;
    default: // While it waits for a lock that another one has.
      client.write([q(`BEGIN; LOCK TABLE ${random.pick(['on_flip', table])} IN SHARE UPDATE EXCLUSIVE MODE`), q('SELECT pg_sleep(10)')]);
  }
  await letMeSee(turn);
  if (random.chance(0.3)) client.socket.resetAndDestroy();
  else client.socket.destroy();
};

/** Says goodbye behind work that is still to be done: what stands in front of it is done. */
export const goodbyes: RoughMove = async ({ client, random, token, ledger }) => {
  const one = token();
  const table = random.pick(['on_source', 'on_dual', 'on_local'] as const);
  const insert = `INSERT INTO ${table} VALUES ('${one}')`;
  ledger.note(one, 'committed', table);
  client.write([...(random.chance(0.5) ? [q(insert)] : [p('', insert), b('', ''), e(''), s]), x]);
  await client.gone();
};

/** Connections that never become sessions. */
export const brokenLogins: RoughMove = async (turn) => {
  const { random, port } = turn;
  const other = await TortureClient.plain(port, `${turn.client.name} login`);
  const startup = writeStartup([['user', 'postgres'], ['database', random.chance(0.3) ? 'nowhere' : 'postgres'], ['application_name', 'torture']]);
  switch (random.below(6)) {
    case 0:
      other.write(startup.subarray(0, random.below(startup.length)));
      break;
    case 1:
      other.write(startup);
      break;
    case 2:
      other.write(writeSslRequest());
      break;
    case 3:
      other.write(Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'));
      break;
    case 4:
      other.write([writeSslRequest(), startup, q("SELECT 'early'")]);
      break;
    default:
      other.write([startup, x]);
  }
  await letMeSee(turn);
  other.socket.destroy();
  await other.gone();
};

/** Bytes that are no messages: the client is told and closed. */
export const garbage: RoughMove = async ({ client, random }) => {
  const noise = random.pick([Buffer.from([0x51, 0, 0, 0, 1]), Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]), Buffer.from('!!!!!!!!!!!!'), Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]), Buffer.from([0x01, 0, 0, 0, 4])]);
  if (random.chance(0.5)) client.write(q('SELECT 1'));
  client.write(noise);
  await client.gone();
};

/** A backend is killed under its session: the client gets the server's FATAL, or goes on when it was an idle one on local. */
export const killedBackends: RoughMove = async ({ client, random, token }, sides) => {
  const one = token();
  const local = await client.ask(q('SELECT pg_backend_pid() FROM marks_local'));
  const pid = Number(local[1]?.slice(2));
  if (random.chance(0.5)) {
    await sides.local.query('SELECT pg_terminate_backend($1)', [pid]);
    await delay(random.below(30));
    const lines = await client.ask(q(`SELECT '${one}' FROM marks_source`));
    expectLines(client, lines, ['T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
    return;
  }
  const asked = client.ask(q('SELECT pg_sleep(10)')).then((lines) => lines, (error: unknown) => error);
  await delay(random.below(30));
  await sides.source.query('SELECT pg_terminate_backend($1)', [client.pid]);
  const outcome = await asked;
  if (!(outcome instanceof Closed) || !outcome.message.includes('E:57P01')) throw new WrongAnswer(`${client.name}: a killed backend was answered with ${String(outcome)}`);
};
