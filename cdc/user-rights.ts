/**
 * What an application's login may do with a table: on the source, where it works today, and on local, where it is to work after the cutover.
 * Privileges are kept by each database for itself, so nothing but a look at both says whether a user loses some.
 */
import type { ServerAddress } from './postgres/server-address.ts';

/** A user of the gateway and who he is on either side. */
export interface GatewayLogin {
  readonly user: string;
  readonly source: ServerAddress;
  /** Name of a role. */
  readonly local: string;
}

/** Columns by their names; a right on the whole table is one on each of its columns. */
export interface TableRights {
  readonly select: ReadonlySet<string>;
  readonly insert: ReadonlySet<string>;
  readonly update: ReadonlySet<string>;
  readonly delete: boolean;
  /** What local's sequences of the columns that may be inserted have to allow for the same statements. */
  readonly sequences: readonly SequenceRight[];
  /** Who inserts on local has to read the number that was drawn: the gateway tells it the client. */
  readonly readsNumbers: boolean;
}

export type SequenceRight = 'USAGE' | 'SELECT' | 'UPDATE';

export const columnRights = ['select', 'insert', 'update'] as const;

export function hasNoRights(rights: TableRights): boolean {
  return !rights.delete && columnRights.every((right) => rights[right].size === 0);
}
