/** How a command answers: rows of text with PostgreSQL type OIDs, so that any client shows them as a table. */
import type { CommandAnswer, CommandNotice } from '../fleet-messages.ts';

export type SuccessfulAnswer = Extract<CommandAnswer, { ok: true }>;

export const typeOids = { text: 25, int8: 20, float8: 701, bool: 16, timestamptz: 1184, json: 114 } as const;

type Column = readonly [name: string, type?: keyof typeof typeOids];
type Cell = string | number | bigint | boolean | null | undefined;

export function table(tag: string, columns: readonly Column[], rows: readonly (readonly Cell[])[], notices: readonly CommandNotice[] = []): SuccessfulAnswer {
  return {
    ok: true,
    tag: `${tag} ${rows.length}`,
    columns: columns.map(([name, type]) => ({ name, typeOid: typeOids[type ?? 'text'] })),
    rows: rows.map((row) => row.map((cell, index) => (columns[index]?.[1] === 'timestamptz' ? timestampText(cell) : cellText(cell)))),
    notices,
  };
}

/** A command without a result set: CommandComplete with the tag, as for DDL. */
export function done(tag: string, notices: readonly CommandNotice[] = []): SuccessfulAnswer {
  return { ok: true, tag, columns: [], rows: [], notices };
}

export function notice(message: string, detail?: string, hint?: string): CommandNotice {
  return { severity: 'NOTICE', message, ...(detail === undefined ? {} : { detail }), ...(hint === undefined ? {} : { hint }) };
}

export function warning(message: string, detail?: string, hint?: string): CommandNotice {
  return { ...notice(message, detail, hint), severity: 'WARNING' };
}

function cellText(cell: Cell): string | null {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === 'boolean') return cell ? 't' : 'f';
  return String(cell);
}

/** ISO 8601 → what a server with `DateStyle = ISO` and `TimeZone = UTC` sends: drivers read nothing else. */
function timestampText(cell: Cell): string | null {
  const text = cellText(cell);
  return text?.replace(/^(\d{4}-\d{2}-\d{2})T([\d:.]+)Z$/, '$1 $2+00') ?? null;
}
