/** SHOW MIGRATION …, SHOW POOLS and its like, EXPLAIN ROUTE, EXPLAIN CUTOVER: statements that change nothing. */
import type { TableName } from '../names.ts';
import { characterPosition } from '../tokens.ts';
import type { Cursor } from './cursor.ts';
import { intervalForms, parseInterval } from './interval.ts';
import { gatewayLists } from './statement.ts';
import type { ExplainCutover, ExplainRoute, MigrationStatement, ShowConflicts, ShowErrors, ShowHelp, ShowProgress, ShowShadowReads, ShowTypeLoss } from './statement.ts';

const maxRows = 1_000_000;

export function parseExplain(cursor: Cursor): ExplainRoute | ExplainCutover {
  if (cursor.accept('cutover')) {
    cursor.expect('table');
    return { type: 'explain_cutover', table: cursor.tableName() };
  }
  cursor.expect('route');
  return routedStatement(cursor);
}

export function parseShow(cursor: Cursor): MigrationStatement {
  if (!cursor.accept('migration')) return showGateway(cursor);
  if (cursor.accept('status')) return { type: 'show_status', table: optionalTable(cursor) };
  if (cursor.accept('progress')) return progress(cursor);
  if (cursor.accept('conflicts')) return conflicts(cursor);
  if (cursor.accept('errors')) return errors(cursor);
  if (cursor.accept('sources')) return { type: 'show_sources' };
  if (cursor.accept('servers')) return { type: 'show_servers' };
  if (cursor.accept('groups')) return { type: 'show_groups' };
  if (cursor.accept('why')) return { type: 'show_why', table: forTable(cursor) };
  if (cursor.accept('shadow')) return shadowReads(cursor);
  if (cursor.accept('type')) return typeLoss(cursor);
  if (cursor.accept('help')) return help(cursor);
  return cursor.fail();
}

function shadowReads(cursor: Cursor): ShowShadowReads {
  cursor.expect('reads');
  return { type: 'show_shadow_reads', table: optionalTable(cursor) };
}

function typeLoss(cursor: Cursor): ShowTypeLoss {
  cursor.expect('loss');
  return { type: 'show_type_loss', table: optionalTable(cursor) };
}

function showGateway(cursor: Cursor): MigrationStatement {
  for (const list of gatewayLists) if (cursor.accept(list)) return { type: `gateway_${list}` };
  return cursor.fail();
}

/** Everything up to the semicolon that ends it; semicolons in brackets (rule actions) belong to it. */
function routedStatement(cursor: Cursor): ExplainRoute {
  const start = cursor.token.start;
  let depth = 0;
  while (cursor.token.kind !== 'end') {
    const { kind, text } = cursor.token;
    if (kind === 'symbol' && text === ';' && depth <= 0) break;
    if (kind === 'symbol' && text === '(') depth += 1;
    if (kind === 'symbol' && text === ')') depth -= 1;
    cursor.advance();
  }
  if (cursor.lastEnd <= start) {
    cursor.alsoExpected('the statement whose route is asked for');
    return cursor.fail();
  }
  return { type: 'explain_route', statement: cursor.sql.slice(start, cursor.lastEnd), offset: characterPosition(cursor.sql, start) - 1 };
}

function progress(cursor: Cursor): ShowProgress {
  const table = forTable(cursor);
  let intervalMs: number | undefined;
  let lastMs: number | undefined;
  for (;;) {
    if (intervalMs === undefined && cursor.accept('interval')) intervalMs = interval(cursor);
    else if (lastMs === undefined && cursor.accept('last')) lastMs = interval(cursor);
    else return { type: 'show_progress', table, intervalMs, lastMs };
  }
}

function conflicts(cursor: Cursor): ShowConflicts {
  const table = optionalTable(cursor);
  let unresolved = false;
  let limit: number | undefined;
  for (;;) {
    if (!unresolved && cursor.accept('unresolved')) unresolved = true;
    else if (limit === undefined && cursor.accept('limit')) limit = rowLimit(cursor);
    else return { type: 'show_conflicts', table, unresolved, limit };
  }
}

function errors(cursor: Cursor): ShowErrors {
  const table = optionalTable(cursor);
  return { type: 'show_errors', table, lastMs: cursor.accept('last') ? interval(cursor) : undefined };
}

/** Words up to the end, or one string. */
function help(cursor: Cursor): ShowHelp {
  if (cursor.token.kind === 'string') return { type: 'show_help', topic: topic([cursor.advance().text]) };
  const words: string[] = [];
  while (cursor.token.kind === 'word') words.push(cursor.advance().text);
  if (words.length === 0) cursor.alsoExpected('a topic');
  return { type: 'show_help', topic: topic(words) };
}

function topic(words: readonly string[]): string | undefined {
  const text = words.join(' ').trim().toLowerCase().replace(/\s+/g, ' ');
  return text === '' ? undefined : text;
}

function optionalTable(cursor: Cursor): TableName | undefined {
  if (!cursor.accept('for')) return undefined;
  cursor.expect('table');
  return cursor.tableName();
}

function forTable(cursor: Cursor): TableName {
  cursor.expect('for', 'table');
  return cursor.tableName();
}

function interval(cursor: Cursor): number {
  const at = cursor.token;
  const text = cursor.string(intervalForms);
  const ms = parseInterval(text);
  if (ms === undefined || ms === 0) throw cursor.error('MIG071', `bad interval ${cursor.describe(at)}: expected ${intervalForms}`, at);
  return ms;
}

function rowLimit(cursor: Cursor): number {
  const at = cursor.token;
  const rows = cursor.number('a number of rows');
  if (!Number.isInteger(rows) || rows < 1 || rows > maxRows) throw cursor.error('MIG071', `bad LIMIT ${cursor.describe(at)}: expected a whole number from 1 to ${maxRows}`, at);
  return rows;
}
