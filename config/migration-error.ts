/**
 * Every error that the product itself reports: the codes of the specification's appendix B and the ones added to it.
 * The list is closed: SQLSTATE, category, whether a retry may help, and the operator's next step all live here.
 */
export type ErrorCategory =
  | 'CONNECTION' | 'AUTHENTICATION' | 'PERMISSION' | 'SCHEMA' | 'DATA_TYPE' | 'CONSTRAINT' | 'CDC' | 'TIMEOUT'
  | 'RESOURCE' | 'CONFLICT' | 'VALIDATION' | 'CUTOVER' | 'ROLLBACK' | 'COMMAND' | 'ROUTING' | 'INTERNAL';

interface ErrorKind {
  readonly category: ErrorCategory;
  readonly summary: string;
  readonly sqlstate: string;
  readonly retryable: boolean;
  /** What the operator should do when the thrower has nothing more exact to say. */
  readonly hint: string;
}

const kind = (category: ErrorCategory, sqlstate: string, retryable: boolean, summary: string, hint: string): ErrorKind =>
  ({ category, sqlstate, retryable, summary, hint });

export const errorKinds = {
  MIG001: kind('CONNECTION', '08001', true, 'Cannot connect to source server', 'Check host, port and network path of the server (SHOW MIGRATION SOURCES).'),
  MIG002: kind('CONNECTION', '08006', true, 'Source connection lost during operation', 'The operation is retried by itself; if it persists, check the server and the network.'),
  MIG003: kind('AUTHENTICATION', '28000', false, 'Invalid credentials for source', 'Correct them with ALTER SERVER or ALTER USER MAPPING.'),
  MIG004: kind('PERMISSION', '42501', false, 'Insufficient privileges on source', 'Run CHECK MIGRATION FOR TABLE … FROM …; it lists the missing grants.'),
  MIG005: kind('PERMISSION', '42501', false, 'Cannot create replication slot', 'Grant REPLICATION to the user, set wal_level = logical, and leave room in max_replication_slots.'),
  MIG010: kind('SCHEMA', '42P01', false, 'Source table not found', 'Check the spelling, the schema and the source name.'),
  MIG011: kind('SCHEMA', '42P16', false, 'Schema mismatch detected', 'SHOW MIGRATION ERRORS shows the difference and the statement that removes it.'),
  MIG012: kind('SCHEMA', '42704', false, 'Unsupported column type', 'Leave the column out with OPTIONS (columns …), or create the type on local first.'),
  MIG013: kind('SCHEMA', '42P16', false, 'Primary key required for migration', 'Add a primary key, or set a replica identity that has one.'),
  MIG014: kind('DATA_TYPE', '22000', false, 'Value has no counterpart on the other side', 'Change the value, or say what to do with such values: OPTIONS (type_map …).'),
  MIG020: kind('CDC', '42704', false, 'Replication slot does not exist', 'Changes may be lost: RESYNC MIGRATION FOR TABLE … starts the table again from a new position.'),
  MIG021: kind('CDC', '55000', false, 'Change stream position not found', 'Changes may be lost: RESYNC MIGRATION FOR TABLE … starts the table again from a new position.'),
  MIG022: kind('CDC', '55000', true, 'CDC lag exceeded threshold', 'Wait until the lag in SHOW MIGRATION STATUS has fallen, or look for what slows local down.'),
  MIG023: kind('CDC', '08006', true, 'CDC stream disconnected', 'The stream reconnects by itself; if it persists, check the source.'),
  MIG024: kind('CDC', '55000', false, 'Change made outside the gateway while another side was the authority', 'Find the writer that bypasses the gateway, then RESYNC MIGRATION FOR TABLE ….'),
  MIG030: kind('CONFLICT', '23000', false, 'Unresolvable conflict detected', 'SHOW MIGRATION CONFLICTS shows both rows; repair one, then RESUME MIGRATION.'),
  MIG031: kind('CONFLICT', '23000', false, 'Conflict resolution failed', 'SHOW MIGRATION CONFLICTS shows both rows; repair one, then RESUME MIGRATION.'),
  MIG040: kind('VALIDATION', '55000', false, 'Row count mismatch', 'RESYNC MIGRATION FOR TABLE … repairs the rows that differ.'),
  MIG041: kind('VALIDATION', '55000', false, 'Checksum mismatch', 'RESYNC MIGRATION FOR TABLE … repairs the rows that differ.'),
  MIG042: kind('VALIDATION', '55000', false, 'Missing rows in target', 'RESYNC MIGRATION FOR TABLE … repairs the rows that differ.'),
  MIG050: kind('CUTOVER', '55000', false, 'Cutover validation failed', 'EXPLAIN CUTOVER TABLE … lists every blocking condition.'),
  MIG051: kind('CUTOVER', '57014', true, 'Cutover timeout exceeded', 'Nothing was changed. End the transaction named in DETAIL, or give a longer TIMEOUT.'),
  MIG052: kind('CUTOVER', '55P03', true, 'Cannot quiesce writes', 'Nothing was changed. End the transaction named in DETAIL, or give a longer TIMEOUT.'),
  MIG053: kind('CUTOVER', '55000', false, 'A loss of values or definitions is not accepted', 'SHOW MIGRATION TYPE LOSS lists them, and ALTER MIGRATION accepts them.'),
  MIG054: kind('CUTOVER', '42501', false, 'Users may do less on local than on the source', 'Run the GRANTs that HINT names on local, or say NO GRANTS to go without.'),
  MIG060: kind('ROLLBACK', '55000', true, 'Rollback failed', 'The table is where it was; DETAIL names the cause.'),
  MIG061: kind('ROLLBACK', '55000', false, 'Cannot rollback from current state', 'SHOW MIGRATION STATUS FOR TABLE … shows the state and what can be done from it.'),
  MIG070: kind('COMMAND', '42601', false, 'Migration statement cannot be read', 'SHOW MIGRATION HELP lists every statement.'),
  MIG071: kind('COMMAND', '22023', false, 'Unknown option or bad value', 'SHOW MIGRATION HELP lists every option with its values.'),
  MIG072: kind('COMMAND', '42704', false, 'No such migration, server or source', 'SHOW MIGRATION STATUS and SHOW MIGRATION SOURCES list what exists.'),
  MIG073: kind('COMMAND', '42710', false, 'Already exists', 'Choose another name, or ALTER what exists.'),
  MIG074: kind('COMMAND', '55000', false, 'Not allowed in the present state', 'SHOW MIGRATION WHY FOR TABLE … says what comes first.'),
  MIG075: kind('COMMAND', '42501', false, 'Not an operator', 'Connect as a user that the configuration lists as operator.'),
  MIG080: kind('ROUTING', '0A000', false, 'Statement needs tables of both sides', 'Cut the other tables over as well, or split the statement.'),
  MIG081: kind('ROUTING', '0A000', false, 'Transaction would write on both sides', 'Cut the other tables over as well, or write them in a transaction of their own.'),
  MIG082: kind('ROUTING', '55006', false, 'Statement is blocked in the table\'s present state', 'Wait for the state named in DETAIL, or ABORT the migration.'),
  MIG083: kind('ROUTING', '40001', true, 'Transaction was given way to a change of routing', 'Run the transaction again.'),
  MIG084: kind('ROUTING', '57P03', true, 'The control process cannot be reached', 'Try again in a moment; if it persists, look at the gateway\'s log.'),
  MIG085: kind('RESOURCE', '53300', true, 'A limit of the gateway was reached', 'Raise the limit named in DETAIL, or send less at once.'),
  MIG086: kind('RESOURCE', '53100', true, 'Spool disk is full or cannot be written', 'Free space in the spool directory; the migration goes on by itself.'),
  MIG087: kind('TIMEOUT', '57014', true, 'Operation timed out', 'Try again with a longer TIMEOUT.'),
  MIG088: kind('RESOURCE', '54000', false, 'Statement is too large or too complex', 'Send the rows in several statements, or with COPY.'),
  MIG089: kind('ROUTING', '0A000', false, 'Not possible on a connection that sessions share', 'Give the user pool_mode session, or do what HINT says.'),
  MIG090: kind('INTERNAL', 'XX000', false, 'Internal migration error', 'Report it with the gateway\'s log.'),
  MIG091: kind('INTERNAL', 'XX001', false, 'State corruption detected', 'Do not resume. DETAIL says which records disagree and how to reconcile them.'),
  MIG092: kind('INTERNAL', '55000', false, 'Another control process has taken over', 'Stop this process; the other one owns the catalog.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

export interface ErrorContext {
  readonly detail?: string;
  /** Replaces the code's own hint. */
  readonly hint?: string;
  readonly tableName?: string;
  readonly rowKey?: string;
  /** 1-based character offset of the offending token in the statement, for the client's caret. */
  readonly position?: number;
  readonly cause?: unknown;
}

/** Message starts with the code (`MIG013: …`), as clients see it. */
export class MigrationError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string;
  readonly tableName: string | undefined;
  readonly rowKey: string | undefined;
  readonly position: number | undefined;

  constructor(code: ErrorCode, message?: string, context: ErrorContext = {}) {
    super(`${code}: ${message ?? errorKinds[code].summary}`, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'MigrationError';
    this.code = code;
    this.detail = context.detail;
    this.hint = context.hint ?? errorKinds[code].hint;
    this.tableName = context.tableName;
    this.rowKey = context.rowKey;
    this.position = context.position;
  }

  get sqlstate(): string {
    return errorKinds[this.code].sqlstate;
  }

  get category(): ErrorCategory {
    return errorKinds[this.code].category;
  }

  get retryable(): boolean {
    return errorKinds[this.code].retryable;
  }
}
