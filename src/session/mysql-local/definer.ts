/** By what a definition is carried out, and what may come of it. */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlPlan } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import type { DefinedTable } from '../../../grammar/dialect/postgres/read-definition.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { OkPacket } from '../../wire/mysql/ok-packet.ts';
import type { LocalReply } from './local-link.ts';

export type DefinitionOutcome =
  /** Its rows are the answer. */
  | { readonly type: 'plan'; readonly plan: MysqlPlan }
  /** By the server; empty: it had carried the statement out before. */
  | { readonly type: 'ok'; readonly said: Pick<OkPacket, 'affectedRows' | 'warnings' | 'info'> }
  /** `isServers`: which tells of it when it is asked. */
  | { readonly type: 'error'; readonly error: MysqlError; readonly isServers: boolean }
  /** Nobody knows how far it has come. */
  | { readonly type: 'lost' };

export type ServerAnswer = { readonly type: 'done'; readonly rows: readonly (readonly (string | null)[])[]; readonly said: Pick<OkPacket, 'affectedRows' | 'warnings' | 'info'> } | { readonly type: 'error'; readonly error: MysqlError };

/** What a definition is carried out by. Promises stay open when the session is over. */
export interface Definer {
  /** Undefined: the table is at the server. */
  find(table: DefinedTable): MigratedTable | undefined;
  local(sql: string): Promise<LocalReply>;
  server(text: string): Promise<ServerAnswer>;
  /** It is sent the statement as it came. */
  serverItself(): Promise<ServerAnswer>;
  failed(reply: Exclude<LocalReply, { type: 'done' }>): DefinitionOutcome;
}
