/** The words of a server, so that clients that know it by text do too. */
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { ExchangeEnd } from './password-exchange.ts';

export function accessDenied(user: string, address: string, { hasPassword, reason }: Extract<ExchangeEnd, { type: 'denied' }>): MysqlError {
  const message = `Access denied for user '${user}'@'${address}' (using password: ${hasPassword ? 'YES' : 'NO'})`;
  return { code: ErrorCode.accessDenied, sqlstate: '28000', message: reason === undefined ? message : `${message}: ${reason}` };
}
