/** Which facts hold for every text of a class (`fingerprint`): those that no constant can change. */
import type { StatementFacts, StatementKind, TextFacts } from './statement-facts.ts';

/** Kinds whose facts cannot depend on constants unless they say so (`literalSensitive`). */
const sharedKinds: ReadonlySet<StatementKind> = new Set<StatementKind>([
  'select', 'insert', 'update', 'delete', 'merge', 'call', 'copy_from', 'copy_to', 'declare_cursor', 'execute', 'notify', 'fetch',
  'begin', 'commit', 'rollback', 'savepoint', 'release', 'rollback_to', 'empty',
]);

export function isShareable(facts: TextFacts): boolean {
  return facts.type === 'sql' && facts.statements.every(holdsForItsClass);
}

function holdsForItsClass(facts: StatementFacts): boolean {
  return sharedKinds.has(facts.kind) && !facts.flags.literalSensitive;
}
