/** BEGIN, COMMIT, savepoints. A connection is at READ COMMITTED, as PostgreSQL's sessions are by default. */
import { quoteMysqlName } from './emission.ts';
import type { Emission } from './emission.ts';
import { makeStep } from './step.ts';
import type { StepDraft, Steps } from './step.ts';
import { refuse } from './refusal.ts';
import type { DialectCapabilities } from './translation.ts';
import { constantText, listOf, nodeOf, stringOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function emitTransaction(emission: Emission, node: Tree): Steps & { readonly command: string } {
  const name = (): string => quoteMysqlName(stringOf(node['savepoint_name']) ?? refuse('savepoint'));
  const of = (command: string, ...texts: readonly string[]): Steps & { readonly command: string } => ({ command, steps: texts.map((text): StepDraft => makeStep(text, {})), columns: [], needsTransaction: false });
  const chain = node['chain'] === true ? ' AND CHAIN' : '';
  switch (node['kind']) {
    case 'TRANS_STMT_BEGIN': return of('BEGIN', ...begin(emission, node));
    case 'TRANS_STMT_START': return of('START TRANSACTION', ...begin(emission, node));
    case 'TRANS_STMT_COMMIT': return of('COMMIT', `COMMIT${chain}`);
    case 'TRANS_STMT_ROLLBACK': return of('ROLLBACK', `ROLLBACK${chain}`);
    case 'TRANS_STMT_SAVEPOINT': return of('SAVEPOINT', `SAVEPOINT ${name()}`);
    case 'TRANS_STMT_RELEASE': return of('RELEASE', `RELEASE SAVEPOINT ${name()}`);
    case 'TRANS_STMT_ROLLBACK_TO': return of('ROLLBACK', `ROLLBACK TO SAVEPOINT ${name()}`);
    default: return refuse(String(node['kind']).replace('TRANS_STMT_', '').replaceAll('_', ' '));
  }
}

/**
 * REPEATABLE READ of MySQL lets a transaction overwrite what it has not seen; PostgreSQL's fails then. MariaDB has a setting for that; MySQL
 * has only SERIALIZABLE, which locks what it reads.
 */
export function isolationLevel(capabilities: DialectCapabilities, level: string, isReadOnly: boolean): string {
  switch (level) {
    case 'read uncommitted': case 'read committed': return 'READ COMMITTED';
    case 'repeatable read': return isReadOnly || capabilities.snapshotIsolation ? 'REPEATABLE READ' : 'SERIALIZABLE';
    case 'serializable': return 'SERIALIZABLE';
    default: return refuse(`isolation level ${level}`);
  }
}

function begin(emission: Emission, node: Tree): readonly string[] {
  const options = new Map(listOf(node['options']).map((item) => {
    const option = nodeOf(item, 'DefElem') ?? refuse('transaction mode');
    return [stringOf(option['defname']) ?? '', constantText(option['arg'])] as const;
  }));
  if (options.has('transaction_deferrable')) return refuse('DEFERRABLE');
  const isReadOnly = options.get('transaction_read_only') === '1' || options.get('transaction_read_only') === 'true';
  const level = options.get('transaction_isolation');
  const start = `START TRANSACTION${isReadOnly ? ' READ ONLY' : ''}`;
  return level === undefined ? [start] : [`SET TRANSACTION ISOLATION LEVEL ${isolationLevel(emission.capabilities, level, isReadOnly)}`, start];
}
