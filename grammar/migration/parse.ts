/**
 * Texts of the migration language → statements (specification §8, §13.2). Recursive descent with one token ahead; each
 * statement is read by the file named after its subject.
 */
import { parseAbort, parseCheck, parseComplete, parseCutover, parsePause, parseResume, parseResync, parseRollback, parseStart, parseValidate } from './control.ts';
import { Cursor } from './cursor.ts';
import { parseExplain, parseShow } from './questions.ts';
import { parseAlter, parseCreate, parseDrop } from './servers.ts';
import type { MigrationStatement } from './statement.ts';

/** In the order in which an error names them. */
const verbs: Readonly<Record<string, (cursor: Cursor) => MigrationStatement>> = {
  create: parseCreate, alter: parseAlter, drop: parseDrop,
  start: parseStart, pause: parsePause, resume: parseResume, abort: parseAbort,
  validate: parseValidate, resync: parseResync, complete: parseComplete,
  cutover: parseCutover, rollback: parseRollback,
  check: parseCheck, explain: parseExplain, show: parseShow,
};

/**
 * The statements of a text, separated by semicolons, frozen; none for an empty text.
 *
 * @throws MigrationError MIG070 (cannot be read) or MIG071 (unknown option, bad value), `position` at the offending token.
 * Nothing else is ever thrown.
 */
export function parseMigration(sql: string): MigrationStatement[] {
  const cursor = new Cursor(sql);
  const statements: MigrationStatement[] = [];
  for (;;) {
    cursor.beginStatement();
    while (cursor.acceptSymbol(';'));
    if (cursor.atEnd()) return statements;
    statements.push(deepFreeze(parseStatement(cursor)));
    if (!cursor.atEnd() && !cursor.acceptSymbol(';')) cursor.fail();
  }
}

function parseStatement(cursor: Cursor): MigrationStatement {
  for (const [verb, parse] of Object.entries(verbs)) {
    if (!cursor.accept(verb)) continue;
    cursor.nameVerb(verb);
    return parse(cursor);
  }
  return cursor.fail();
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
