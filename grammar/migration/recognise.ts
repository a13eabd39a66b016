/**
 * Tells texts of the migration language from ordinary SQL by their first words. It stands before everything that a
 * client sends, so it looks at one byte first and reads a second word only where the first one can begin both.
 */
import { nextToken } from '../tokens.ts';
import type { Token } from '../tokens.ts';
import { gatewayLists, isGatewayList } from './statement.ts';
import { nearest } from './suggest.ts';

/** First words that no SQL statement has: the text is ours, and an error in it is ours to explain. */
const own: ReadonlySet<string> = new Set(['pause', 'resume', 'validate', 'resync', 'complete', 'cutover', 'check']);

/** First words that SQL has too, and the words that make them ours. */
const shared: Readonly<Record<string, readonly string[]>> = {
  start: ['migration'],
  abort: ['migration'],
  rollback: ['migration'],
  show: ['migration', ...gatewayLists],
  explain: ['route', 'cutover'],
  create: ['migration', 'server', 'user mapping'],
  alter: ['migration', 'server', 'user mapping'],
  drop: ['migration', 'server', 'user mapping'],
};

/** 1 where a text begins with what may stand in front of the first word: space, a comment, an empty statement. */
const mayPrecede = new Uint8Array(128);
for (const character of ' \t\n\r\f\v-/;') mayPrecede[character.charCodeAt(0)] = 1;

/** 1 for the first two letters of our words, whatever their case: enough to pass over SELECT, INSERT, UPDATE, DELETE, SET, BEGIN. */
const mayBegin = new Uint8Array(1024);
for (const word of [...own, ...Object.keys(shared)]) mayBegin[firstTwo(word)] = 1;

function firstTwo(sql: string): number {
  return ((sql.charCodeAt(0) & 31) << 5) | (sql.charCodeAt(1) & 31);
}

/** Only ASCII letters can be in our words; what follows one is none. */
function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

/** Offset behind the letters that begin at `from`. Eleven are enough to know that no word of ours is meant. */
function wordEnd(sql: string, from: number): number {
  let end = from;
  while (end < from + 11 && isLetter(sql.charCodeAt(end))) end += 1;
  return end;
}

/**
 * True where the first word, or the first letter of the second, already rules our language out. It may be wrong only the
 * other way round, then the tokens decide.
 */
function isPlainSql(sql: string): boolean {
  const end = wordEnd(sql, 0);
  if (end === 0) return false;
  const first = sql.slice(0, end).toLowerCase();
  if (own.has(first)) return false;
  if (!Object.hasOwn(shared, first)) return true;
  let second = end;
  while (sql.charCodeAt(second) === 0x20) second += 1;
  if (second >= sql.length) return true;
  const lower = sql.charCodeAt(second) | 0x20;
  return isLetter(lower) && !(shared[first] ?? []).some((word) => word.charCodeAt(0) === lower);
}

/**
 * CREATE SERVER for another foreign data wrapper than ours is the database's own; every other statement about servers and
 * user mappings may be ours: whose is meant depends on the server's name (`serversNamed`). SHOW POOLS and its like are ours because no server has a setting
 * of such a name, and only as they stand: `SHOW "pools"` asks the server. Never true for what PostgreSQL could run otherwise: `SHOW migration.setting`,
 * `EXPLAIN (…)`, `ROLLBACK TO x`, `START TRANSACTION`, `ALTER USER u`.
 */
export function isMigrationText(sql: string): boolean {
  const code = sql.charCodeAt(0);
  if (mayBegin[firstTwo(sql)] !== 1 && mayPrecede[code] !== 1) return false;
  if (isPlainSql(sql)) return false;
  let token = nextToken(sql, 0);
  while (token.kind === 'symbol' && token.text === ';') token = nextToken(sql, token.end);
  if (token.kind !== 'word') return false;
  if (own.has(token.text)) return true;
  const seconds = Object.hasOwn(shared, token.text) ? shared[token.text] : undefined;
  if (seconds === undefined) return false;
  const second = nextToken(sql, token.end);
  return secondWordIsOurs(sql, second, seconds) || isSlipOfOurs(sql, token.text, second, seconds);
}

/**
 * `START MIGRATON`, `SHOW MIGRATOIN STATUS`, `EXPLAIN CUTOVR TABLE x`: no SQL statement begins so, and our error says what was meant.
 * The first letter is taken to be right; no word that SQL has in this place is as near as that. `SHOW migraton` alone could be a parameter.
 */
function isSlipOfOurs(sql: string, first: string, second: Token, seconds: readonly string[]): boolean {
  if (second.kind !== 'word') return false;
  const meant = nearest(second.text, seconds.filter((word) => word !== 'server' && word !== 'user mapping' && !isGatewayList(word)));
  if (meant === undefined || meant.charCodeAt(0) !== second.text.charCodeAt(0)) return false;
  return first !== 'show' || nextToken(sql, second.end).kind === 'word';
}

function secondWordIsOurs(sql: string, token: Token, seconds: readonly string[]): boolean {
  if (token.kind !== 'word') return false;
  const next = nextToken(sql, token.end);
  // SHOW migration.setting reads a parameter of the server.
  if (token.text === 'migration' && next.kind === 'symbol' && next.text === '.') return false;
  if (seconds === shared['show'] && isGatewayList(token.text)) return next.kind === 'end' || (next.kind === 'symbol' && next.text === ';');
  if (token.text === 'server' && seconds === shared['create']) return wrapperIsOurs(sql, next);
  if (seconds.includes(token.text)) return true;
  if (token.text !== 'user' || next.kind !== 'word' || next.text !== 'mapping' || !seconds.includes('user mapping')) return false;
  // CREATE USER mapping makes a role of that name.
  const third = nextToken(sql, next.end);
  return third.kind === 'word' && (third.text === 'for' || third.text === 'if');
}

/** `first` is the token behind CREATE SERVER. A statement without a wrapper is ours: the error has to say what is missing. */
function wrapperIsOurs(sql: string, first: Token): boolean {
  let token = first;
  let before = '';
  // IF NOT EXISTS name TYPE '…' VERSION '…' FOREIGN DATA WRAPPER name
  for (let i = 0; i < 11 && token.kind !== 'end' && token.kind !== 'bad'; i += 1) {
    const next = nextToken(sql, token.end);
    const isName = next.kind === 'word' || next.kind === 'quoted';
    if (before === 'data' && token.kind === 'word' && token.text === 'wrapper' && isName) return next.text === 'postgres';
    before = token.text;
    token = next;
  }
  return true;
}

/**
 * The source of `SELECT * FROM MIGRATION_ROW_COUNTS(source)` (specification §8.4), as a name or a string; undefined for
 * every other text.
 */
export function rowCountsSource(sql: string): string | undefined {
  const code = sql.charCodeAt(0) | 0x20;
  if (code !== 0x73 && code > 0x2f) return undefined;
  const found: Token[] = [];
  for (let token = nextToken(sql, 0); token.kind !== 'end'; token = nextToken(sql, token.end)) {
    if (token.kind === 'bad' || found.length > 8) return undefined;
    if (token.kind !== 'symbol' || token.text !== ';') found.push(token);
    else if (nextToken(sql, token.end).kind !== 'end') return undefined;
  }
  const [select, star, from, call, open, source, close, ...rest] = found;
  const words = [select, star, from, call, open].map((token) => token?.text).join(' ');
  const isCall = words === 'select * from migration_row_counts (' && close?.text === ')' && rest.length === 0;
  return isCall && source !== undefined && source.kind !== 'symbol' && source.kind !== 'number' ? source.text : undefined;
}
