/** Statements that move migrations: START, PAUSE, RESUME, ABORT, VALIDATE, RESYNC, COMPLETE, CUTOVER, ROLLBACK, CHECK. */
import type { TableName } from '../names.ts';
import type { Cursor } from './cursor.ts';
import { isPredicate } from './option-kinds.ts';
import { statedOptions } from './option-list.ts';
import type {
  AbortMigration, CheckMigration, CompleteMigration, Cutover, GroupScope, PauseMigration, RepairStrategy, ResumeMigration,
  ResyncMigration, RollbackMigration, SchemaScope, Scope, StartMigration, TableScope, ValidateMigration, ValidationExtent,
} from './statement.ts';
import { repairStrategies } from './statement.ts';

/** A day; whoever means to wait longer means something else. */
const maxTimeoutSeconds = 86_400;

export function parseStart(cursor: Cursor): StartMigration {
  const scope = migrationScope(cursor);
  cursor.expect('from');
  const source = cursor.name('a source name');
  if (scope.type === 'table') {
    return { type: 'start', scope, source, options: statedOptions(cursor, 'table'), excluding: [], includingOnly: undefined };
  }
  let excluding: TableName[] | undefined;
  let includingOnly: TableName[] | undefined;
  for (;;) {
    if (excluding === undefined && cursor.accept('excluding')) excluding = tableList(cursor);
    else if (includingOnly === undefined && cursor.accept('including')) {
      cursor.expect('only');
      includingOnly = tableList(cursor);
    } else break;
  }
  return { type: 'start', scope, source, options: statedOptions(cursor, 'start'), excluding: excluding ?? [], includingOnly };
}

export function parsePause(cursor: Cursor): PauseMigration {
  return { type: 'pause', scope: migrationScope(cursor) };
}

export function parseAbort(cursor: Cursor): AbortMigration {
  return { type: 'abort', scope: migrationScope(cursor) };
}

export function parseResume(cursor: Cursor): ResumeMigration {
  const scope = migrationScope(cursor);
  const given = flags(cursor, { acceptDdl: ['accept', 'ddl'], skipRow: ['skip', 'row'] });
  return { type: 'resume', scope, acceptDdl: given.has('acceptDdl'), skipRow: given.has('skipRow') };
}

export function parseValidate(cursor: Cursor): ValidateMigration {
  const scope = migrationScope(cursor);
  let extent: ValidationExtent | undefined;
  let repair: RepairStrategy | undefined;
  for (;;) {
    if (extent === undefined && cursor.accept('full')) extent = { type: 'full' };
    else if (extent === undefined && cursor.accept('sample')) extent = { type: 'sample', percent: optionalPercentage(cursor) };
    else if (repair === undefined && cursor.accept('repair')) repair = repairStrategy(cursor);
    else return { type: 'validate', scope, extent: extent ?? { type: 'default' }, repair };
  }
}

export function parseResync(cursor: Cursor): ResyncMigration {
  cursor.expect('migration', 'for', 'table');
  const table = cursor.tableName();
  if (!cursor.accept('where')) return { type: 'resync', table, where: undefined };
  const at = cursor.token;
  const where = cursor.string('a string with an SQL condition');
  if (!isPredicate(where)) throw cursor.error('MIG071', `bad condition ${cursor.describe(at)}: expected a string with one SQL condition, every quote and bracket closed`, at);
  return { type: 'resync', table, where };
}

export function parseComplete(cursor: Cursor): CompleteMigration {
  cursor.expect('migration', 'for', 'table');
  return { type: 'complete', table: cursor.tableName() };
}

export function parseCutover(cursor: Cursor): Cutover {
  const scope = cutoverScope(cursor);
  const ways = { force: ['force'], noFence: ['no', 'fence'], noRollback: ['no', 'rollback'], noGrants: ['no', 'grants'] };
  const together = isTogether(cursor, scope);
  const given = new Set<string>();
  let timeoutMs: number | undefined;
  for (;;) {
    const before = given.size;
    flags(cursor, scope.type === 'table' ? { split: ['split'], ...ways } : ways, given);
    if (timeoutMs === undefined && cursor.accept('timeout')) timeoutMs = timeout(cursor);
    else if (given.size === before) break;
  }
  return {
    type: 'cutover', scope, split: given.has('split'), force: given.has('force'),
    noFence: given.has('noFence'), noRollback: given.has('noRollback'), noGrants: given.has('noGrants'), ...together, timeoutMs,
  };
}

export function parseRollback(cursor: Cursor): RollbackMigration {
  cursor.expect('migration', 'for');
  const scope = tableOrSchema(cursor) ?? groupScope(cursor) ?? cursor.fail();
  const together = isTogether(cursor, scope);
  let preserveLocalData = false;
  let timeoutMs: number | undefined;
  for (;;) {
    if (!preserveLocalData && cursor.accept('preserve')) {
      cursor.expect('local', 'data');
      preserveLocalData = true;
    } else if (timeoutMs === undefined && cursor.accept('timeout')) timeoutMs = timeout(cursor);
    else return { type: 'rollback', scope, preserveLocalData, ...together, timeoutMs };
  }
}

export function parseCheck(cursor: Cursor): CheckMigration {
  cursor.expect('migration', 'for');
  const scope = tableOrSchema(cursor) ?? cursor.fail();
  cursor.expect('from');
  return { type: 'check', scope, source: cursor.name('a source name') };
}

/** MIGRATION FOR TABLE t | FOR SCHEMA s | ALL */
function migrationScope(cursor: Cursor): Scope {
  cursor.expect('migration');
  return scopeOfMigrations(cursor);
}

/** Behind the word MIGRATION. */
export function scopeOfMigrations(cursor: Cursor): Scope {
  if (cursor.accept('for')) return tableOrSchema(cursor) ?? cursor.fail();
  if (cursor.accept('all')) return { type: 'all' };
  return cursor.fail();
}

function cutoverScope(cursor: Cursor): Scope | GroupScope {
  const scope = tableOrSchema(cursor) ?? groupScope(cursor);
  if (scope !== undefined) return scope;
  if (cursor.accept('all')) return { type: 'all' };
  return cursor.fail();
}

/** SCHEMA s TOGETHER */
function isTogether(cursor: Cursor, scope: Scope | GroupScope): { readonly together?: true } {
  return scope.type === 'schema' && cursor.accept('together') ? { together: true } : {};
}

function tableOrSchema(cursor: Cursor): TableScope | SchemaScope | undefined {
  if (cursor.accept('table')) return { type: 'table', table: cursor.tableName() };
  if (cursor.accept('schema')) return { type: 'schema', schema: cursor.name('a schema name') };
  return undefined;
}

function groupScope(cursor: Cursor): GroupScope | undefined {
  if (!cursor.accept('group')) return undefined;
  cursor.expect('of');
  return { type: 'group', table: cursor.tableName() };
}

function tableList(cursor: Cursor): TableName[] {
  const tables: TableName[] = [];
  cursor.expectSymbol('(');
  do tables.push(cursor.tableName());
  while (cursor.acceptSymbol(','));
  cursor.expectSymbol(')');
  return tables;
}

/**
 * Takes flags of one or two words, each at most once, in any order, until something else comes. Two flags may begin with the
 * same word (NO FENCE, NO ROLLBACK, NO GRANTS). Adds their keys to `given`.
 */
function flags(cursor: Cursor, forms: Readonly<Record<string, readonly string[]>>, given = new Set<string>()): Set<string> {
  for (;;) {
    const open = Object.entries(forms).filter(([key]) => !given.has(key));
    const first = [...new Set(open.map(([, words]) => words[0] ?? ''))].find((word) => cursor.accept(word));
    if (first === undefined) return given;
    const candidates = open.filter(([, words]) => words[0] === first);
    const found = candidates.find(([, words]) => words[1] === undefined || cursor.accept(words[1]));
    if (found === undefined) return cursor.fail();
    given.add(found[0]);
  }
}

function timeout(cursor: Cursor): number {
  const at = cursor.token;
  const seconds = cursor.number('a number of seconds');
  if (!(seconds > 0 && seconds <= maxTimeoutSeconds)) throw cursor.error('MIG071', `bad TIMEOUT ${cursor.describe(at)}: expected a number of seconds above 0 and up to ${maxTimeoutSeconds}`, at);
  return Math.max(1, Math.round(seconds * 1000));
}

function optionalPercentage(cursor: Cursor): number | undefined {
  if (cursor.token.kind === 'number') return percentage(cursor);
  cursor.alsoExpected('a percentage');
  return undefined;
}

function percentage(cursor: Cursor): number {
  const at = cursor.token;
  const percent = cursor.number('a percentage');
  if (!(percent > 0 && percent <= 100)) throw cursor.error('MIG071', `bad SAMPLE ${cursor.describe(at)}: expected a percentage above 0 and up to 100`, at);
  if (!cursor.acceptSymbol('%')) cursor.accept('percent');
  return percent;
}

function repairStrategy(cursor: Cursor): RepairStrategy {
  const found = repairStrategies.find((strategy) => cursor.accept(strategy));
  return found ?? cursor.fail();
}

