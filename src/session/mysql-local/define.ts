/** Carries a definition of a MySQL client out where its tables are on local: what it asks of both sides, one after the other, and what comes of it. */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlPlan, MysqlTextMode } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { readMysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';
import type { DefinedTable } from '../../../grammar/dialect/postgres/read-definition.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { readMysqlError } from '../../wire/mysql/error-packet.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { OK, readOk } from '../../wire/mysql/ok-packet.ts';
import type { OkPacket } from '../../wire/mysql/ok-packet.ts';
import { mysqlErrorOf } from '../mysql/control-result.ts';
import type { Definer, DefinitionOutcome, ServerAnswer } from './definer.ts';
import { changeKeys } from './define-keys.ts';
import { failureError } from './failure-error.ts';
import type { LocalAnswer } from './local-answer.ts';
import type { LocalLink } from './local-link.ts';
import type { LocalSession } from './local-session.ts';
import type { SessionValues } from './session-values.ts';
import { notServed } from './refusals.ts';
import type { SessionFacts } from './session-facts.ts';
import { maintainTables } from './table-maintenance.ts';

export interface DefinitionParts {
  readonly session: LocalSession;
  readonly link: LocalLink;
  readonly facts: SessionFacts;
  readonly text: string;
  readonly find: (table: DefinedTable) => MigratedTable | undefined;
  readonly mode: MysqlTextMode;
}

/** By what a client is told. */
export interface DefinitionEnd {
  readonly values: SessionValues;
  readonly answer: LocalAnswer;
  /** Of an OK. */
  readonly status: () => number;
}

/** Tells the client what has come of it, as far as that is no statement of its own. */
export function tellDefinition(session: LocalSession, outcome: DefinitionOutcome, { values, answer, status }: DefinitionEnd, then: (next: 'end' | 'next' | { readonly plan: MysqlPlan } | { readonly error: MysqlError }) => void): void {
  if (outcome.type === 'lost') return session.close();
  if (outcome.type === 'plan') return then({ plan: outcome.plan });
  if (outcome.type === 'error' && !outcome.isServers) return then({ error: outcome.error });
  // The server tells of the statement when it is asked.
  values.onServer('', false);
  if (outcome.type === 'error') answer.error(outcome.error);
  else answer.ok({ ...outcome.said, status: status() });
  then(outcome.type === 'error' ? 'end' : 'next');
}

/** Stands for a translation. */
export const definitionPlan: MysqlPlan = { type: 'plan', steps: [], columns: [], counts: { kind: 'none' }, insertId: undefined, needsTransaction: false, command: 'DDL', parameters: 0, commitsBefore: true };

export function runDefinition({ session, link, facts, text, find, mode }: DefinitionParts, done: (outcome: DefinitionOutcome) => void): void {
  const definition = readMysqlDefinition(text, mode);
  if (!definition) return done({ type: 'error', error: mysqlErrorOf(notServed('this definition')), isServers: false });
  // The server reads what it is asked as the client's texts.
  if (!/^[\x00-\x7f]*$/.test(text) && !facts.clientCharset.startsWith('utf8')) return done({ type: 'error', error: mysqlErrorOf(notServed(`a definition with letters outside ASCII in character_set_client ${facts.clientCharset}`)), isServers: false });
  const server = (asked: string): Promise<ServerAnswer> => new Promise((resolve) => session.askServer(asked, (rows, _columns, _errorCode, head) => resolve(rows ? { type: 'done', rows, said: saidIn(head, session.client.login.capabilities) } : { type: 'error', error: readMysqlError(head ?? Buffer.alloc(0)) })));
  const definer: Definer = {
    find, server,
    local: (sql) => new Promise((resolve) => link.query(sql, resolve)),
    serverItself: () => server(text),
    failed: (reply) => (reply.type === 'lost' ? reply : { type: 'error', error: failureError(reply, [], mode.server), isServers: false }),
  };
  void (definition.type === 'keys' ? changeKeys(definer, definition) : maintainTables(definer, definition)).then(done, (error: unknown) => done({ type: 'error', error: mysqlErrorOf(error), isServers: false }));
}

function saidIn(head: Buffer | undefined, capabilities: Capabilities): Pick<OkPacket, 'affectedRows' | 'warnings' | 'info'> {
  if (head?.[0] !== OK) return {};
  const { affectedRows, warnings, info } = readOk(head, capabilities);
  return { affectedRows, warnings, info };
}
