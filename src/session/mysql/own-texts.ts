/** Texts of a MySQL client that are not, or not as they stand, for the source: migration statements and KILL. */
import { isMigrationText } from '../../../grammar/migration/recognise.ts';
import type { KillKind } from './kill-on-server.ts';

/** Longer ones are no migration statement. */
export const OWN_TEXT_BYTES = 64 * 1024;

const servers = /^\s*(?:alter|drop)\s+server\s+(?:if\s+exists\s+)?(?:`([^`]+)`|"([^"]+)"|([\w$]+))/i;
const catalogQuery = /^\s*select\b[\s\S]*\bsys\$migration_/i;

/** True for what the migration control answers. MySQL has CHECK TABLE, and servers of its own (FEDERATED). */
export function isControlText(text: string, hasServer: (name: string) => boolean): boolean {
  if (text.includes('$') && catalogQuery.test(text)) return true;
  if (!isMigrationText(text) || /^\s*check\s+(?:table|view|index)\b/i.test(text)) return false;
  const [, backquoted, quoted, bare] = servers.exec(text) ?? [];
  const name = backquoted ?? quoted ?? bare?.toLowerCase();
  return name === undefined || hasServer(name);
}

/**
 * From 2³⁰ to 2³¹ − 1 are the gateway's, below are the servers': a client may have either, from its handshake or from CONNECTION_ID(). Some clients
 * read the number with a sign.
 */
export const FIRST_CONNECTION_ID = 2 ** 30;

export function isDoorId(id: number): boolean {
  return id >= FIRST_CONNECTION_ID && id < 2 * FIRST_CONNECTION_ID;
}

export interface Kill {
  readonly kind: KillKind;
  readonly id: number;
}

/** Of a connection by its number; KILL USER and KILL QUERY ID pass as they are. */
export function readKill(text: string): Kill | undefined {
  const first = text.charCodeAt(0) | 0x20;
  // Nearly every text begins with the letter of another word.
  if (first >= 0x61 && first <= 0x7a && first !== 0x6b) return undefined;
  const [, kind = '', id = ''] = /^\s*kill\s+(?:(?:hard|soft)\s+)?(?:(connection|query)\s+)?(\d{1,10})\s*;?\s*$/i.exec(text) ?? [];
  return id === '' ? undefined : { kind: kind.toLowerCase() === 'query' ? 'query' : 'connection', id: Number(id) };
}
