/** What a client of the torture run does that logs in, stays, and knows every answer it has to get. */
import { createHash } from 'node:crypto';
import { b, c, copyData, copyDone, copyFail, d, e, h, p, q, s } from '../session/raw-client.ts';
import { TortureClient, expectLines, longValue } from './torture-client.ts';
import type { LogTable } from './torture-ledger.ts';
import { exchange, marks, modeOf, steadyLogs } from './torture-turn.ts';
import type { Expected, Move, Turn } from './torture-turn.ts';

export const simpleTexts: Move = async (turn) => {
  const { random, token } = turn;
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const [one, two, from] = [token(), token(), random.pick(marks)];
    const kind = random.below(6);
    if (kind === 0) await exchange(turn, [q(`SELECT '${one}' FROM ${from}`)], 1, ['T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
    else if (kind === 1) await exchange(turn, [q(`SELECT '${one}'; SELECT '${two}' FROM ${from}`)], 1, ['T', `D:${one}`, 'C:SELECT 1', 'T', `D:${two}`, 'C:SELECT 1', 'Z:I']);
    else if (kind === 2) await exchange(turn, [q(`SELECT '${one}'; SELECT 1/0 FROM ${from}; SELECT '${two}'`)], 1, ['T', `D:${one}`, 'C:SELECT 1', 'E:22012', 'Z:I']);
    else if (kind === 3) await exchange(turn, [q('SELECT FROM nothing_at_all')], 1, ['E:42P01', 'Z:I']);
    else if (kind === 4) await exchange(turn, [q(`SELECT s.side || l.side || '${one}' FROM marks_source s, marks_local l`)], 1, ['T', `D:sourcelocal${one}`, 'C:SELECT 1', 'Z:I']);
    else await exchange(turn, [q(';'), q(`SELECT side || '${one}' FROM marks_local`), q(`SELECT side || '${two}' FROM marks_source`)], 3, ['I', 'Z:I', 'T', `D:local${one}`, 'C:SELECT 1', 'Z:I', 'T', `D:source${two}`, 'C:SELECT 1', 'Z:I']);
  }
};

/** Units of a pipeline, what each of them has to answer, and what is known of its rows once it has. */
class Pipeline {
  readonly messages: Buffer[] = [];
  readonly expected: Expected[] = [];
  readonly notes: (() => void)[] = [];
  readies = 0;
  readonly #turn: Turn;

  constructor(turn: Turn) {
    this.#turn = turn;
  }

  add(messages: readonly Buffer[], expected: readonly Expected[]): void {
    this.messages.push(...messages);
    this.expected.push(...expected);
    this.readies += 1;
  }

  addRandom(): void {
    const { random, token, ledger } = this.#turn;
    const [one, two] = [token(), token()];
    const table = random.pick(steadyLogs);
    switch (random.below(9)) {
      case 0:
        return this.add([p('', `SELECT '${one}' FROM ${random.pick(marks)}`), b('', ''), d('P', ''), e(''), s], ['1', '2', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
      case 1:
        return this.add([p('', 'SELECT $1::text'), d('S', ''), b('', '', [one]), e(''), b('', '', [two]), e(''), s], ['1', 't', 'T', '2', `D:${one}`, 'C:SELECT 1', '2', `D:${two}`, 'C:SELECT 1', 'Z:I']);
      case 2:
        return this.add([p('', 'SELECT 1/0'), b('', ''), e(''), p('', `SELECT '${one}'`), b('', ''), e(''), s], ['1', 'E:22012', 'Z:I']);
      case 3:
        return this.add([p('', `SELEC '${one}'`), b('', ''), e(''), s], ['E:42601', 'Z:I']);
      case 4:
        return this.add([b('', one), e(''), s], ['E:26000', 'Z:I']);
      case 5: {
        this.notes.push(() => ledger.note(one, 'committed', table));
        return this.add([p('', `INSERT INTO ${table} VALUES ($1) RETURNING token`), b('', '', [one]), e(''), s], ['1', '2', `D:${one}`, 'C:INSERT 0 1', 'Z:I']);
      }
      case 6: {
        this.notes.push(() => ledger.note(one, 'rolled back', table));
        return this.add([p('', `INSERT INTO ${table} VALUES ($1)`), b('', '', [one]), e(''), b('', '', [one]), e(''), b('', '', [two]), e(''), s], ['1', '2', 'C:INSERT 0 1', '2', 'E:23505', 'Z:I']);
      }
      case 7:
        return this.#block(one, two, table);
      default:
        return this.add([q(`SELECT '${one}'`)], ['T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
    }
  }

  #block(one: string, two: string, table: LogTable): void {
    const { random, ledger } = this.#turn;
    const commits = random.chance(0.5);
    this.notes.push(() => ledger.note(one, commits ? 'committed' : 'rolled back', table));
    this.add([p('', 'BEGIN'), b('', ''), e(''), s], ['1', '2', 'C:BEGIN', 'Z:T']);
    this.add([p('', `INSERT INTO ${table} VALUES ('${one}')`), b('', ''), e(''), s], ['1', '2', 'C:INSERT 0 1', 'Z:T']);
    if (random.chance(0.3)) {
      this.add([p('', 'SELECT 1/0'), b('', ''), e(''), s], ['1', 'E:22012', 'Z:E']);
      this.add([q(`SELECT '${two}'`)], ['E:25P02', 'Z:E']);
      this.add([q('COMMIT')], ['C:ROLLBACK', 'Z:I']);
      this.notes.push(() => ledger.note(one, 'rolled back', table));
    } else this.add([p('', commits ? 'COMMIT' : 'ROLLBACK'), b('', ''), e(''), s], ['1', '2', commits ? 'C:COMMIT' : 'C:ROLLBACK', 'Z:I']);
  }

  async run(): Promise<void> {
    await exchange(this.#turn, this.messages, this.readies, this.expected);
    for (const note of this.notes) note();
  }
}

export const pipelines: Move = async (turn) => {
  const pipeline = new Pipeline(turn);
  const messages = turn.random.chance(0.1) ? 1_000 : 5 + turn.random.below(80);
  while (pipeline.messages.length < messages) pipeline.addRandom();
  await pipeline.run();
};

export const flushes: Move = async (turn) => {
  const { client, random, token } = turn;
  const names = Array.from({ length: 1 + random.below(5) }, () => token());
  for (const name of names) {
    client.write([p(name, `SELECT '${name}' || $1 FROM ${random.pick(marks)}`), d('S', name), h]);
    expectLines(client, await client.untilType('T'), ['1', 't', 'T']);
    client.write([b('', name, ['x']), e(''), h]);
    expectLines(client, await client.untilType('C'), ['2', `D:${name}x`, 'C:SELECT 1']);
    await exchange(turn, [s], 1, ['Z:I']);
  }
  for (const name of names.toReversed()) await exchange(turn, [b('', name, ['y']), e(''), c('S', name), s], 1, ['2', `D:${name}y`, 'C:SELECT 1', '3', 'Z:I']);
};

export const hugeRows: Move = async (turn) => {
  const { random, token } = turn;
  const length = random.chance(0.3) ? 10 << 20 : 1 + random.below(2 << 20);
  const one = token();
  const tail = `${'x'.repeat(30)}${one}`.slice(-30);
  if (random.chance(0.5)) await exchange(turn, [q(`SELECT repeat('x', ${length}) || '${one}'`)], 1, ['T', `D:${length + one.length > 200 ? longValue('xxxxxxxxxx', length + one.length, tail) : 'x'.repeat(length) + one}`, 'C:SELECT 1', 'Z:I']);
  else {
    const value = 'x'.repeat(length);
    await exchange(turn, [p('', `SELECT length($1::text)::text || '${one}' FROM ${random.pick(marks)}`), b('', '', [value]), e(''), s], 1, ['1', '2', `D:${length}${one}`, 'C:SELECT 1', 'Z:I']);
  }
};

export const manyRows: Move = async (turn) => {
  const one = turn.token();
  const rows = 100 + turn.random.below(30_000);
  const first = Array.from({ length: 50 }, (_, index) => `D:${index + 1} ${one}`);
  await exchange(turn, [q(`SELECT g || ' ${one}' FROM generate_series(1, ${rows}) g`)], 1, ['T', ...first, `C:SELECT ${rows}`, 'Z:I']);
};

export const portals: Move = async (turn) => {
  const { random, token, client } = turn;
  const [one, two] = [token(), token()];
  await exchange(turn, [q('BEGIN')], 1, ['C:BEGIN', 'Z:T']);
  await exchange(turn, [p('', `SELECT '${one}' || g FROM ${random.pick(marks)}, generate_series(1, 7) g`), b(one, ''), b(two, ''), e(one, 3), s], 1, ['1', '2', '2', `D:${one}1`, `D:${one}2`, `D:${one}3`, 's', 'Z:T']);
  await exchange(turn, [e(two, 1), e(one, 2), s], 1, [`D:${one}1`, 's', `D:${one}4`, `D:${one}5`, 's', 'Z:T']);
  if (random.chance(0.3)) await exchange(turn, [c('P', two), e(two), s, q('ROLLBACK')], 2, ['3', 'E:34000', 'Z:E', 'C:ROLLBACK', 'Z:I']);
  else if (random.chance(0.5)) await exchange(turn, [e(one), e(one), s, q('COMMIT')], 2, [`D:${one}6`, `D:${one}7`, 'C:SELECT 2', 'C:SELECT 0', 'Z:T', 'C:COMMIT', 'Z:I']);
  else await exchange(turn, [q('COMMIT')], 1, ['C:COMMIT', 'Z:I']);
  expectLines(client, await client.ask([e(one), s]), ['E:34000', 'Z:I']);
};

export const copiesIn: Move = async (turn) => {
  const { client, random, token, ledger } = turn;
  const table = random.pick(steadyLogs);
  const rows = Array.from({ length: random.below(300) }, () => token());
  const simple = random.chance(0.5);
  client.write(simple ? q(`COPY ${table} FROM STDIN`) : [p('', `COPY ${table} FROM STDIN`), b('', ''), e(''), ...(random.chance(0.5) ? [h] : [s])]);
  expectLines(client, await client.untilType('G'), simple ? ['G'] : ['1', '2', 'G']);
  const failsAt = random.chance(0.4) ? random.below(rows.length + 1) : -1;
  const text = rows.map((row, index) => (index === failsAt ? `${row}\ttoo\tmany\n` : `${row}\n`)).join('');
  await client.send(copyData(text), modeOf(random, text.length), random);
  const isBad = failsAt >= 0 && failsAt < rows.length;
  const givesUp = !isBad && random.chance(0.2);
  client.write([givesUp ? copyFail('changed my mind') : copyDone, ...(simple ? [] : [s])]);
  const error = isBad ? 'E:22P04' : givesUp ? 'E:57014' : undefined;
  expectLines(client, await client.until(1), [error ?? `C:COPY ${rows.length}`, 'Z:I']);
  for (const row of rows) ledger.note(row, error === undefined ? 'committed' : 'rolled back', table);
};

export const copiesOut: Move = async (turn) => {
  const { random, token } = turn;
  const one = token();
  const rows = 1 + random.below(20_000);
  const sql = (expression: string): string => `COPY (SELECT ${expression} FROM generate_series(1, ${rows}) g) TO STDOUT`;
  const lines = (count: number): string => {
    const hash = createHash('md5');
    for (let row = 1; row <= count; row += 1) hash.update(`${row} ${one}\n`);
    return `d×${count}:${hash.digest('hex')}`;
  };
  const simple = random.chance(0.5);
  const ask = (text: string): Buffer[] => (simple ? [q(text)] : [p('', text), b('', ''), e(''), s]);
  const start = simple ? ['H'] : ['1', '2', 'H'];
  if (random.chance(0.7)) await exchange(turn, ask(sql(`g || ' ${one}'`)), 1, [...start, lines(rows), 'c', `C:COPY ${rows}`, 'Z:I']);
  else {
    const at = 1 + random.below(rows);
    await exchange(turn, ask(sql(`g || ' ${one}' || coalesce((CASE WHEN g = ${at} THEN 1/(g - ${at}) END)::text, '')`)), 1, [...start, ...(at > 1 ? [lines(at - 1)] : []), 'E:22012', 'Z:I']);
  }
};

export const manyStatements: Move = async (turn) => {
  const { client, random, token } = turn;
  const prefix = token();
  const count = random.chance(0.2) ? 10_000 : 500;
  const from = random.pick(marks);
  const sendAll = async (of: (name: string) => readonly Buffer[], expected: readonly string[]): Promise<void> => {
    for (let at = 0; at < count; at += 500) {
      const names = Array.from({ length: 500 }, (_, index) => `${prefix}_${at + index}`);
      expectLines(client, await client.ask([...names.flatMap((name) => of(name)), s]), [...names.flatMap(() => expected), 'Z:I']);
    }
  };
  await sendAll((name) => [p(name, `SELECT '${prefix}' FROM ${from}`)], ['1']);
  const name = `${prefix}_${random.below(count)}`;
  await exchange(turn, [b('', name), e(''), s], 1, ['2', `D:${prefix}`, 'C:SELECT 1', 'Z:I']);
  if (random.chance(0.5)) await sendAll((other) => [c('S', other)], ['3']);
  else await exchange(turn, [q('DEALLOCATE ALL')], 1, ['C:DEALLOCATE ALL', 'Z:I']);
  await exchange(turn, [b('', name), s], 1, ['E:26000', 'Z:I']);
};

/** A block that writes on both sides: it is there on both, or on none. */
export const bothSides: Move = async (turn) => {
  const { client, random, token, ledger } = turn;
  const one = token();
  const insert = (table: LogTable): Buffer => q(`INSERT INTO ${table} VALUES ('${one}')`);
  const tables: LogTable[] = random.chance(0.5) ? ['on_local', 'on_source'] : ['on_dual', 'on_local'];
  const texts = [q('BEGIN'), insert(tables[0] ?? 'on_local'), insert(tables[1] ?? 'on_source')];
  const expected = ['C:BEGIN', 'Z:T', 'C:INSERT 0 1', 'Z:T', 'C:INSERT 0 1', 'Z:T'];
  if (random.chance(0.3)) {
    texts.push(q('SAVEPOINT here'), q('SELECT 1/0 FROM marks_local'), q('ROLLBACK TO here'));
    expected.push('C:SAVEPOINT', 'Z:T', 'E:22012', 'Z:E', 'C:ROLLBACK', 'Z:T');
  }
  const end = random.pick(['COMMIT', 'COMMIT', 'ROLLBACK', 'fail'] as const);
  if (end === 'fail') {
    texts.push(insert(random.pick(tables)), q('COMMIT'));
    expected.push('E:23505', 'Z:E', 'C:ROLLBACK', 'Z:I');
  } else {
    texts.push(q(end));
    expected.push(`C:${end}`, 'Z:I');
  }
  ledger.note(one, 'unknown', ...tables);
  if (random.chance(0.5)) await exchange(turn, texts, texts.length, expected);
  else {
    const lines: string[] = [];
    for (const text of texts) lines.push(...(await client.ask(text)));
    expectLines(client, lines, expected);
  }
  ledger.note(one, end === 'COMMIT' ? 'committed' : 'rolled back', ...tables);
};

export const listens: Move = async (turn) => {
  const { client, random, token, port } = turn;
  const [channel, payload] = [`c${token().replaceAll('-', '_')}`, token()];
  await exchange(turn, [q(`LISTEN ${channel}`)], 1, ['C:LISTEN', 'Z:I']);
  if (random.chance(0.5)) await exchange(turn, [q(`NOTIFY ${channel}, '${payload}'`)], 1, ['C:NOTIFY', 'Z:I']);
  else {
    const other = await TortureClient.open(port, `${client.name} notifier`);
    expectLines(other, await other.ask(q(`NOTIFY ${channel}, '${payload}'`)), ['C:NOTIFY', 'Z:I']);
    other.socket.destroy();
  }
  await client.notified(`${channel}:${payload}`);
  await exchange(turn, [q(`UNLISTEN ${channel}`)], 1, ['C:UNLISTEN', 'Z:I']);
  client.notifications.length = 0;
};

export const settings: Move = async (turn) => {
  const { client, token } = turn;
  const [one, table] = [token(), `t_${token().replaceAll('-', '_')}`];
  const setting = String(100_000 + turn.random.below(1_000_000));
  await exchange(turn, [q(`SET statement_timeout = ${setting}`), ...['marks_local', 'marks_source'].map((from) => q(`SELECT setting FROM pg_settings, ${from} WHERE name = 'statement_timeout'`)), q('RESET statement_timeout')], 4, ['C:SET', 'Z:I', 'T', `D:${setting}`, 'C:SELECT 1', 'Z:I', 'T', `D:${setting}`, 'C:SELECT 1', 'Z:I', 'C:RESET', 'Z:I']);
  await exchange(turn, [q(`SET torture.own = '${one}'`), ...['marks_local', 'marks_source'].map((from) => q(`SELECT current_setting('torture.own') FROM ${from}`))], 3, ['C:SET', 'Z:I', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
  await exchange(turn, [q(`CREATE TEMP TABLE ${table} (a text)`), q(`INSERT INTO ${table} VALUES ('${one}')`), q(`SELECT a FROM ${table}`)], 3, ['C:CREATE TABLE', 'Z:I', 'C:INSERT 0 1', 'Z:I', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
  await exchange(turn, [q(`DECLARE k CURSOR WITH HOLD FOR SELECT a FROM ${table}`), q('FETCH k'), q('CLOSE k')], 3, ['C:DECLARE CURSOR', 'Z:I', 'T', `D:${one}`, 'C:FETCH 1', 'Z:I', 'C:CLOSE CURSOR', 'Z:I']);
  expectLines(client, await client.ask(q('DISCARD ALL')), ['C:DISCARD ALL', 'Z:I']);
};

/** The table changes sides under it: what a statement answers is one of a few, what it has written is where it says. */
export const movingTable: Move = async (turn) => {
  const { client, random, token, ledger } = turn;
  const one = token();
  const insert = `INSERT INTO on_flip VALUES ('${one}')`;
  if (random.chance(0.5)) {
    const lines = random.chance(0.5) ? await client.ask(q(insert)) : (await client.ask([p('', insert), b('', ''), e(''), s])).slice(2);
    expectLines(client, lines, ['C:INSERT 0 1', 'Z:I']);
    ledger.note(one, 'committed', 'on_flip');
    return;
  }
  const lines: string[] = [];
  for (const text of ['BEGIN', insert, `SELECT '${one}' FROM ${random.pick(marks)}`]) lines.push(...(await client.ask(q(text))));
  expectLines(client, lines, ['C:BEGIN', 'Z:T', 'C:INSERT 0 1', 'Z:T', 'T', `D:${one}`, 'C:SELECT 1', 'Z:T']);
  ledger.note(one, 'unknown', 'on_flip');
  expectLines(client, await client.ask(q('COMMIT')), ['C:COMMIT', 'Z:I']);
  ledger.note(one, 'committed', 'on_flip');
};
