/** How to reach a MySQL or MariaDB server for its binlog. */
import type { ConnectionOptions } from 'node:tls';

export interface ReplicationAddress {
  /** A path beginning with `/` is a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Absent: a plain connection. */
  readonly tls?: ConnectionOptions;
}
