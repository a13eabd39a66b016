/** A migration statement of a MySQL client, answered by the same control as one typed in psql. */
import { MigrationError } from '../../../config/migration-error.ts';
import { ErrorCode, writeMysqlError } from '../../wire/mysql/error-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { onlyReads } from '../control-answer.ts';
import { mysqlErrorOf, writeCommandResult } from './control-result.ts';
import type { DoorSession, MysqlServices } from './door-host.ts';

/** The answer's packets, the first of which has this sequence id. Never rejects. */
export async function runControl({ control, runtime }: MysqlServices, session: DoorSession & { readonly isInTransaction: boolean }, sql: string, sequence: number): Promise<Buffer> {
  if (session.isInTransaction && !onlyReads(sql)) {
    return writePackets(writeMysqlError({ code: ErrorCode.unknown, sqlstate: '25001', message: 'MIG074: the statement cannot run inside a transaction. End the transaction first.' }), sequence);
  }
  const { user, address, database } = session.client;
  try {
    const result = await control.command({ sql, user, clientAddress: address, sessionId: session.sessionId, searchPath: database === undefined ? [] : [database] });
    return writeCommandResult(result, session.status, session.capabilities, sequence);
  } catch (error) {
    if (!(error instanceof MigrationError)) runtime.log.error('migration command failed', { error: String(error) });
    return writePackets(writeMysqlError(mysqlErrorOf(error)), sequence);
  }
}
