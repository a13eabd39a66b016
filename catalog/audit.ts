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
