/** First byte of what a client sends: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html */
export const Command = {
  quit: 0x01,
  initDatabase: 0x02,
  query: 0x03,
  fieldList: 0x04,
  statistics: 0x09,
  processInfo: 0x0a,
  processKill: 0x0c,
  debug: 0x0d,
  ping: 0x0e,
  changeUser: 0x11,
  prepare: 0x16,
  execute: 0x17,
  sendLongData: 0x18,
  closeStatement: 0x19,
  resetStatement: 0x1a,
  setOption: 0x1b,
  fetch: 0x1c,
  resetConnection: 0x1f,
} as const;

/** Names of those that are known and refused, for the error. */
export const refusedCommands: Readonly<Record<number, string>> = {
  0x05: 'COM_CREATE_DB', 0x06: 'COM_DROP_DB', 0x07: 'COM_REFRESH', 0x08: 'COM_SHUTDOWN', 0x12: 'COM_BINLOG_DUMP', 0x13: 'COM_TABLE_DUMP', 0x15: 'COM_REGISTER_SLAVE', 0x1d: 'COM_DAEMON',
  0x1e: 'COM_BINLOG_DUMP_GTID', 0x20: 'COM_CLONE', 0xfa: 'COM_STMT_BULK_EXECUTE', 0xfe: 'COM_MULTI',
};
