/** Where a leg goes, and with which credentials. */
import type { ServerTarget } from '../wire/connect-server.ts';

export interface LegTarget extends ServerTarget {
  readonly database: string;
}
