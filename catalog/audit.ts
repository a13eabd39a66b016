/** What is written to SYS$MIGRATION_AUDIT (specification §11.2). */

/** Every event of the specification's list. */
export const auditActions = [
  'MIGRATION_START', 'MIGRATION_PAUSE', 'MIGRATION_RESUME', 'MIGRATION_ABORT',
  'CUTOVER_START', 'CUTOVER_COMPLETE', 'CUTOVER_FAILED',
  'ROLLBACK_START', 'ROLLBACK_COMPLETE',
  'CREDENTIALS_ACCESSED', 'CREDENTIALS_ROTATED',
  'CONFLICT_DETECTED', 'CONFLICT_RESOLVED',
  'ERROR_OCCURRED', 'RECOVERY_PERFORMED',
] as const;

export type AuditAction = (typeof auditActions)[number];

/** `audit_level` of the settings, and `none` for `audit_enabled` off. */
export type AuditLevel = 'none' | 'minimal' | 'standard' | 'full';

/** Changes of a migration and of authority, whoever made them, are what every level but `none` holds. */
const levels: Readonly<Partial<Record<AuditAction, AuditLevel>>> = {
  CREDENTIALS_ROTATED: 'standard', ERROR_OCCURRED: 'standard',
  CREDENTIALS_ACCESSED: 'full', CONFLICT_DETECTED: 'full', CONFLICT_RESOLVED: 'full',
};
const order: readonly AuditLevel[] = ['none', 'minimal', 'standard', 'full'];

export function isAudited(level: AuditLevel, action: AuditAction): boolean {
  return order.indexOf(level) >= order.indexOf(levels[action] ?? 'minimal');
}

/** Who did something, as the session knows it. `system` stands for the control process itself. */
export interface Actor {
  readonly user: string;
  readonly clientIp?: string | undefined;
  /** A UUID. */
  readonly sessionId?: string | undefined;
}

export const systemActor: Actor = { user: 'system' };

export interface AuditEntry {
  readonly action: AuditAction;
  readonly actor: Actor;
  readonly tableId?: string | undefined;
  readonly sourceServer?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export interface AuditRecord {
  readonly auditId: string;
  readonly timestamp: string;
  /** Derived from the user's name and the catalog's identity: the same user has the same id in every row. */
  readonly userId: string;
  readonly action: AuditAction;
  readonly tableId: string | undefined;
  readonly sourceServer: string | undefined;
  /** Holds the user's name as `user`, besides what the entry gave. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly clientIp: string | undefined;
  readonly sessionId: string | undefined;
}
