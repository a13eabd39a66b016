/** Moves of the torture run about what the gateway itself answers or refuses, and about what is kept by name: predictable to the last line. */
import { b, c, d, e, p, q, s } from '../session/raw-client.ts';
import type { LogTable } from './torture-ledger.ts';
import { exchange, marks, steadyLogs } from './torture-turn.ts';
import type { Move } from './torture-turn.ts';

/** Many rows by one statement in one unit, as drivers send batches; the function is one that nobody can see into. */
export const batches: Move = async (turn) => {
  const { random, token, ledger } = turn;
  const table: LogTable = random.pick(steadyLogs);
  const tokens = Array.from({ length: 1 + random.below(20) }, () => token());
  const value = random.pick(['$1', 'torture_echo($1)']);
  const fails = random.chance(0.3);
  const messages = [p('', `INSERT INTO ${table} VALUES (${value})`), ...tokens.flatMap((one) => [b('', '', [one]), e('')]), ...(fails ? [b('', '', [tokens[0] ?? '']), e(''), b('', '', ['never']), e('')] : [])];
  const second = token();
  const more = random.chance(0.3) ? [p('', `SELECT '${second}'`), b('', ''), e('')] : [];
  const expected = ['1', ...tokens.flatMap(() => ['2', 'C:INSERT 0 1']), ...(fails ? ['2', 'E:23505'] : more.length > 0 ? ['1', '2', `D:${second}`, 'C:SELECT 1'] : []), 'Z:I'];
  await exchange(turn, [...messages, ...more, s], 1, expected);
  for (const one of tokens) ledger.note(one, fails ? 'rolled back' : 'committed', table);
};

/** One unit that needs both sides: in a block, and outside of one, where it is one transaction. */
export const crossings: Move = async (turn) => {
  const { random, token, ledger } = turn;
  const [one, two] = [token(), token()];
  const read = (side: string, text: string): Buffer[] => [p('', `SELECT '${text}' FROM marks_${side}`), b('', ''), e('')];
  const [here, there] = random.pick([['local', 'source'], ['source', 'local']] as const);
  if (random.chance(0.5)) {
    const fails = random.chance(0.5);
    const second = fails ? [p('', `SELECT 1 / (length(side) - length(side)) FROM marks_${there}`), b('', ''), e('')] : read(there, two);
    const answers = fails ? ['E:22012'] : [`D:${two}`, 'C:SELECT 1'];
    await exchange(turn, [p('', `INSERT INTO on_${here} VALUES ('${one}')`), b('', ''), e(''), ...second, s, ...read(there, two), s], 2, ['1', '2', 'C:INSERT 0 1', '1', '2', ...answers, 'Z:I', '1', '2', `D:${two}`, 'C:SELECT 1', 'Z:I']);
    ledger.note(one, fails ? 'rolled back' : 'committed', `on_${here}`);
    return;
  }
  const answer = (text: string): string[] => ['1', '2', `D:${text}`, 'C:SELECT 1'];
  await exchange(turn, [q('BEGIN'), ...read(here, one), ...read(there, two), ...read(here, one), s, q('COMMIT')], 3, ['C:BEGIN', 'Z:T', ...answer(one), ...answer(two), ...answer(one), 'Z:T', 'C:COMMIT', 'Z:I']);
};

/** Statements about migrations, among the others and row by row. */
export const migrationStatements: Move = async (turn) => {
  const { random, token } = turn;
  const [one, portal] = [token(), token()];
  const rows = ['D:orders', 'D:items'];
  const show = 'SHOW MIGRATION STATUS';
  switch (random.below(4)) {
    case 0:
      return exchange(turn, [q(`SELECT '${one}' FROM marks_local`), q(show), q(`SELECT '${one}'`)], 3, ['T', `D:${one}`, 'C:SELECT 1', 'Z:I', 'T', ...rows, 'C:SHOW', 'Z:I', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
    case 1:
      return exchange(turn, [p('', show), b('', ''), d('P', ''), e(''), s], 1, ['1', '2', 'T', ...rows, 'C:SHOW', 'Z:I']);
    case 2:
      return exchange(turn, [p('', show), b(portal, ''), e(portal, 1), e(portal, 1), c('P', portal), s], 1, ['1', '2', 'D:orders', 's', 'D:items', 'C:SHOW', '3', 'Z:I']);
    default:
      return exchange(turn, [p('', `SELECT '${one}'`), b('', ''), e(''), p('', show), b('', ''), e(''), s, q(`SELECT '${one}'`)], 2, ['1', '2', `D:${one}`, 'C:SELECT 1', '1', '2', ...rows, 'C:SHOW', 'Z:I', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
  }
};

/** PREPARE and cursors of SQL's own. */
export const namedBySql: Move = async (turn) => {
  const { random, token } = turn;
  const [one, name] = [token(), `n_${token().replaceAll('-', '_')}`];
  const from = random.pick(marks);
  if (random.chance(0.5)) {
    await exchange(turn, [q(`PREPARE ${name}(text) AS SELECT $1 FROM ${from}`), q(`EXECUTE ${name}('${one}')`)], 2, ['C:PREPARE', 'Z:I', 'T', `D:${one}`, 'C:SELECT 1', 'Z:I']);
    await exchange(turn, [b('', name, [one]), e(''), s, q(`DEALLOCATE ${name}`), q(`EXECUTE ${name}('${one}')`)], 3, ['2', `D:${one}`, 'C:SELECT 1', 'Z:I', 'C:DEALLOCATE', 'Z:I', 'E:26000', 'Z:I']);
    return;
  }
  await exchange(turn, [q('BEGIN'), q(`DECLARE ${name} CURSOR FOR SELECT '${one}' || g FROM ${from}, generate_series(1, 5) g`), q(`FETCH 2 FROM ${name}`), q(`SELECT '${one}' FROM ${random.pick(marks)}`), q(`FETCH FROM ${name}`)], 5,
    ['C:BEGIN', 'Z:T', 'C:DECLARE CURSOR', 'Z:T', 'T', `D:${one}1`, `D:${one}2`, 'C:FETCH 2', 'Z:T', 'T', `D:${one}`, 'C:SELECT 1', 'Z:T', 'T', `D:${one}3`, 'C:FETCH 1', 'Z:T']);
  const closes = random.chance(0.5);
  await exchange(turn, [...(closes ? [q(`CLOSE ${name}`)] : []), q('COMMIT')], closes ? 2 : 1, [...(closes ? ['C:CLOSE CURSOR', 'Z:T'] : []), 'C:COMMIT', 'Z:I']);
  await exchange(turn, [q(`FETCH ${name}`)], 1, ['E:34000', 'Z:I']);
};
