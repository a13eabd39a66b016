/**
 * What both ends can do, and what a server says of its state.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
 */

/** Bits of the 32 that both products know. `mysql` is absent at a MariaDB that has bits of its own in `MariadbCapability`. */
export const Capability = {
  mysql: 1,
  foundRows: 1 << 1,
  longFlag: 1 << 2,
  connectWithDatabase: 1 << 3,
  noSchema: 1 << 4,
  compress: 1 << 5,
  odbc: 1 << 6,
  localFiles: 1 << 7,
  ignoreSpace: 1 << 8,
  protocol41: 1 << 9,
  interactive: 1 << 10,
  ssl: 1 << 11,
  ignoreSigpipe: 1 << 12,
  transactions: 1 << 13,
  reserved: 1 << 14,
  secureConnection: 1 << 15,
  multiStatements: 1 << 16,
  multiResults: 1 << 17,
  psMultiResults: 1 << 18,
  pluginAuth: 1 << 19,
  connectAttributes: 1 << 20,
  lengthEncodedAuth: 1 << 21,
  expiredPasswords: 1 << 22,
  sessionTrack: 1 << 23,
  deprecateEof: 1 << 24,
  optionalMetadata: 1 << 25,
  zstd: 1 << 26,
  queryAttributes: 1 << 27,
  multiFactor: 1 << 28,
} as const;

/** https://mariadb.com/kb/en/connection/#capabilities: bits 32 and up, in bytes that the handshake had reserved. */
export const MariadbCapability = {
  progress: 1,
  bulk: 1 << 2,
  extendedMetadata: 1 << 3,
  cacheMetadata: 1 << 4,
} as const;

/** What a connection has agreed upon. */
export interface Capabilities {
  readonly flags: number;
  readonly mariadb: number;
}

export function can({ flags }: Capabilities, bit: number): boolean {
  return (flags & bit) !== 0;
}

/**
 * What passes between a client and a server without being looked at. Left out: compression, which would have to be undone to see where answers
 * end; query attributes, which stand before a statement's text; more than one factor, which is a matter of each end.
 */
export const passable: Capabilities = {
  flags: Capability.mysql | Capability.foundRows | Capability.longFlag | Capability.connectWithDatabase | Capability.noSchema | Capability.odbc | Capability.localFiles
    | Capability.ignoreSpace | Capability.protocol41 | Capability.interactive | Capability.ignoreSigpipe | Capability.transactions | Capability.reserved | Capability.secureConnection
    | Capability.multiStatements | Capability.multiResults | Capability.psMultiResults | Capability.pluginAuth | Capability.connectAttributes | Capability.lengthEncodedAuth
    | Capability.expiredPasswords | Capability.sessionTrack | Capability.deprecateEof | Capability.optionalMetadata,
  mariadb: MariadbCapability.progress | MariadbCapability.extendedMetadata | MariadbCapability.cacheMetadata,
};

/** Without these there is no telling where an answer ends, or who asks. */
export const required = Capability.protocol41 | Capability.secureConnection;

/** https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a1d854e841086925be1883e4d7b4e8cad */
export const ServerStatus = {
  inTransaction: 1,
  autocommit: 2,
  moreResults: 8,
  cursorExists: 64,
} as const;
