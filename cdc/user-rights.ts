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

/** Privileges of PostgreSQL on tables, in the order in which they are written. */
export const tableRights = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'] as const;
/** Those of them that can be had on single columns. */
export const columnRights = ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES'] as const;
export type ColumnRight = (typeof columnRights)[number];
export type WholeRight = Exclude<(typeof tableRights)[number], ColumnRight>;
export type SequenceRight = 'USAGE' | 'SELECT' | 'UPDATE';

export interface TableRights {
  /** Columns by their names; a right on the whole table is one on each of its columns. */
  readonly columns: Readonly<Record<ColumnRight, ReadonlySet<string>>>;
  readonly whole: ReadonlySet<WholeRight>;
  /** By the column whose sequence has to allow it on local for the same statements. */
  readonly sequences: ReadonlyMap<string, readonly SequenceRight[]>;
  /** Who inserts on local has to read the number that was drawn: the gateway tells it the client. */
  readonly readsNumbers: boolean;
  /** May lock rows without changing them (FOR UPDATE and its like), which takes UPDATE of some column on PostgreSQL. */
  readonly locksRows: boolean;
  /** May change the definition: no privilege, and not to be granted. */
  readonly owns: boolean;
  /** Row security is on, and hides nothing from this login; `forced`: nor would it from an owner. */
  readonly unfiltered: { readonly forced: boolean } | undefined;
  /** Policies of row security that applies to this login; undefined where none does. */
  readonly policies: ReadonlySet<string> | undefined;
}

/** Of a login at a source. */
export interface LoginTableRights {
  /** Undefined: the login's own. Else those of a role whose rights it has after SET ROLE only. */
  readonly asRole: string | undefined;
  /** In the order of the tables that were asked for. */
  readonly tables: readonly TableRights[];
}

export function isColumnRight(right: (typeof tableRights)[number]): right is ColumnRight {
  return (columnRights as readonly string[]).includes(right);
}

export function hasNoRights({ columns, whole, sequences }: TableRights): boolean {
  return whole.size === 0 && sequences.size === 0 && columnRights.every((right) => columns[right].size === 0);
}

/** Whether `more` has anything that `rights` lacks. */
export function addsRights(rights: TableRights, more: TableRights): boolean {
  return [...more.whole].some((right) => !rights.whole.has(right))
    || columnRights.some((right) => [...more.columns[right]].some((column) => !rights.columns[right].has(column)))
    || [...more.sequences].some(([column, needed]) => needed.some((right) => rights.sequences.get(column)?.includes(right) !== true))
    || (more.unfiltered !== undefined && rights.unfiltered === undefined);
}

/** Who a role of the source is on local: whom the settings log its users in as there, else the role of the same name. */
export function localRolesOf(logins: readonly GatewayLogin[], role: string): readonly string[] {
  const stated = new Set(logins.filter(({ source }) => source.user === role).map(({ local }) => local));
  return stated.size === 0 ? [role] : [...stated];
}
