import { createHash } from 'node:crypto';
import type { AuditEntry, AuditRecord } from '../audit.ts';
import { auditActions, isAudited } from '../audit.ts';
import { oneOf, optionalJson, optionalText, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

export function writeAudit(connection: CatalogConnection, newId: () => string, entry: AuditEntry): void {
  if (!isAudited(connection.auditLevel, entry.action)) return;
  connection.run(
    `INSERT INTO "SYS$MIGRATION_AUDIT" (audit_id, "timestamp", user_id, action, table_id, source_server, details, client_ip, session_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    newId(), connection.now(), userId(connection, entry.actor.user), entry.action, entry.tableId ?? null, entry.sourceServer ?? null,
    JSON.stringify({ user: entry.actor.user, ...entry.details }), entry.actor.clientIp ?? null, entry.actor.sessionId ?? null,
  );
}

export function auditRecord(row: Row): AuditRecord {
  return {
    auditId: text(row, 'audit_id'),
    timestamp: time(row, 'timestamp'),
    userId: text(row, 'user_id'),
    action: oneOf(row, 'action', auditActions),
    tableId: optionalText(row, 'table_id'),
    sourceServer: optionalText(row, 'source_server'),
    details: optionalJson(row, 'details') ?? {},
    clientIp: optionalText(row, 'client_ip'),
    sessionId: optionalText(row, 'session_id'),
  };
}

/** A name-based UUID (RFC 9562 §5.8, version 8): users have names here, the specification's column is a UUID. */
function userId(connection: CatalogConnection, user: string): string {
  const catalogId = text(connection.get('SELECT value FROM setting WHERE name = ?', 'catalog_id') ?? {}, 'value');
  const hash = createHash('sha256').update(`${catalogId}/${user}`).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}
