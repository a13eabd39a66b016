/** ERR packets. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */

export class MysqlServerError extends Error {
  readonly errno: number;
  readonly sqlstate: string;

  constructor(errno: number, sqlstate: string, message: string) {
    super(message);
    this.name = 'MysqlServerError';
    this.errno = errno;
    this.sqlstate = sqlstate;
  }
}

export function errorOf(payload: Buffer): MysqlServerError {
  const errno = payload.readUInt16LE(1);
  const hasState = payload[3] === 0x23;
  return new MysqlServerError(errno, hasState ? payload.toString('latin1', 4, 9) : 'HY000', payload.toString('utf8', hasState ? 9 : 3));
}
