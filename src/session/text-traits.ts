/** What the session asks about a text on every message, worked out once per distinct text. Pure. */
import type { StatementFacts, StatementKind, TextFacts } from '../../grammar/sql/statement-facts.ts';
import { ReadHabits } from './pool/read-habits.ts';

export interface TextTraits {
  readonly facts: TextFacts;
  /** Answered by the migration control. */
  readonly control: boolean;
  /** Nothing in it changes what the session has to remember. */
  readonly plain: boolean;
  /** It does nothing but read, in built-in functions that leave nothing behind: other sessions' reads may stand behind it. Undefined for all others. */
  readonly habits: ReadHabits | undefined;
  /** What `currval` or `lastval` gives, which its connection knows. */
  readonly asksSequence: boolean;
  /** It may draw one: writes, or calls what cannot be seen into. */
  readonly mayDraw: boolean;
  /** Too long or too deep to be read: what it does is not known. */
  readonly unread: boolean;
  /** The only statement, when there is exactly one. */
  readonly single: StatementFacts | undefined;
  readonly statements: readonly StatementFacts[];
  /** `prepare`: the traits of the statement inside. */
  readonly inner: TextTraits | undefined;
  readonly hasTransactionControl: boolean;
  readonly hasCopyFrom: boolean;
  /** Names relations without a schema, so that the session's search path counts. */
  readonly needsSearchPath: boolean;
}

const transactionKinds: ReadonlySet<StatementKind> = new Set([
  'begin', 'commit', 'rollback', 'savepoint', 'release', 'rollback_to', 'prepare_transaction', 'commit_prepared', 'rollback_prepared', 'set_transaction',
]);

const plainKinds: ReadonlySet<StatementKind> = new Set([
  'select', 'insert', 'update', 'delete', 'merge', 'copy_to', 'truncate', 'lock', 'show', 'notify', 'explain', 'maintenance', 'empty', 'fetch',
]);

export function isTransactionControl(facts: StatementFacts): boolean {
  return transactionKinds.has(facts.kind);
}

/** A statement about a server that the gateway does not have is the database's own. */
export function meantFacts(control: { hasServer(name: string): boolean }, facts: TextFacts): TextFacts {
  const ofServers = facts.type === 'migration' ? facts.ofServers : undefined;
  return ofServers === undefined || ofServers.names.some((name) => control.hasServer(name)) ? facts : ofServers.otherwise;
}

/** The prepared statement that it runs, or explains. */
export function executedBy(facts: StatementFacts | undefined): string | undefined {
  if (facts?.kind === 'execute') return facts.objectName;
  const isAround = facts?.kind === 'explain' || facts?.kind === 'create_temp';
  return isAround && facts.inner?.kind === 'execute' ? facts.inner.objectName : undefined;
}

const known = new WeakMap<TextFacts, TextTraits>();

/** The same facts give the same traits. */
export function traitsOf(facts: TextFacts): TextTraits {
  let traits = known.get(facts);
  if (!traits) {
    traits = workOut(facts);
    known.set(facts, traits);
  }
  return traits;
}

const nothing: readonly StatementFacts[] = [];

function workOut(facts: TextFacts): TextTraits {
  const statements = facts.type === 'sql' ? facts.statements : nothing;
  const hasTransactionControl = statements.some(isTransactionControl);
  const asksSequence = statements.some(({ flags, sequencesRead }) => flags.usesLastval || sequencesRead.length > 0);
  const inner = statements.length === 1 && statements[0]?.kind === 'prepare' ? statements[0].inner : undefined;
  return {
    facts,
    control: facts.type === 'migration' || statements.some((statement) => statement.flags.readsCatalog),
    unread: facts.type === 'invalid' && facts.refusal !== undefined,
    asksSequence,
    mayDraw: statements.some(({ writes, sequencesWritten, functions }) => writes.length > 0 || sequencesWritten.length > 0 || functions.length > 0),
    plain: facts.type === 'sql' && !asksSequence && statements.every((statement) => plainKinds.has(statement.kind) && executedBy(statement) === undefined && !statement.flags.sessionEffect && !statement.flags.readsCatalog),
    habits: statements.length === 1 && statements.every(isShareable) ? new ReadHabits() : undefined,
    single: statements.length === 1 ? statements[0] : undefined,
    statements,
    inner: inner && workOut({ type: 'sql', statements: [inner] }),
    hasTransactionControl,
    hasCopyFrom: statements.some((statement) => statement.kind === 'copy_from'),
    needsSearchPath: statements.some(namesRelations),
  };
}

/** RULES 28: an allow-list. What sequences have told a session is not to be asked on a connection of many. */
function isShareable({ kind, writes, functions, sequencesRead, sequencesWritten, flags }: StatementFacts): boolean {
  return kind === 'select' && writes.length === 0 && functions.length === 0 && sequencesRead.length === 0 && sequencesWritten.length === 0
    && !flags.lockingRead && !flags.writesInCte && !flags.sessionEffect && !flags.readsCatalog && !flags.usesLastval && !flags.onceOnly;
}

function namesRelations(statement: StatementFacts): boolean {
  const lists = [statement.reads, statement.writes, statement.ddl, statement.sequencesRead, statement.sequencesWritten];
  return statement.catalog !== undefined || lists.some((list) => list.some((relation) => relation.schema === undefined)) || (statement.inner !== undefined && namesRelations(statement.inner));
}
