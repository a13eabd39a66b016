/** Facts of transaction control and of statements that change or show the session's own state. */
import { FactsCollector, emptyFacts, noFlags } from './facts-collector.ts';
import { quoteListElement } from './setting-value.ts';
import type { StatementFacts, StatementKind, TransactionModes } from './statement-facts.ts';
import { constantText, listOf, nodeOf, stringOf } from './tree.ts';
import type { Tree } from './tree.ts';

const transactionKinds: Readonly<Record<string, StatementKind>> = {
  TRANS_STMT_BEGIN: 'begin', TRANS_STMT_START: 'begin', TRANS_STMT_COMMIT: 'commit', TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint', TRANS_STMT_RELEASE: 'release', TRANS_STMT_ROLLBACK_TO: 'rollback_to',
  TRANS_STMT_PREPARE: 'prepare_transaction', TRANS_STMT_COMMIT_PREPARED: 'commit_prepared', TRANS_STMT_ROLLBACK_PREPARED: 'rollback_prepared',
};

export function sessionStatement(name: string, node: Tree): StatementFacts | undefined {
  switch (name) {
    case 'TransactionStmt': return transactionFacts(node);
    case 'VariableSetStmt': return setFacts(node);
    case 'VariableShowStmt': return { ...emptyFacts, kind: 'show', setting: { name: (stringOf(node['name']) ?? '').toLowerCase(), value: undefined, local: false } };
    case 'DiscardStmt': return named('discard', (stringOf(node['target']) ?? 'DISCARD_ALL').slice('DISCARD_'.length).toLowerCase());
    case 'ListenStmt': return named('listen', stringOf(node['conditionname']));
    case 'UnlistenStmt': return named('unlisten', stringOf(node['conditionname']));
    case 'NotifyStmt': return named('notify', stringOf(node['conditionname']));
    case 'DeallocateStmt': return named('deallocate', stringOf(node['name']));
    case 'FetchStmt': return named('fetch', stringOf(node['portalname']));
    case 'ClosePortalStmt': return named('close_cursor', stringOf(node['portalname']));
    case 'ConstraintsSetStmt': return { ...emptyFacts, kind: 'utility', command: 'SET CONSTRAINTS' };
    case 'CheckPointStmt': return { ...emptyFacts, kind: 'utility', command: 'CHECKPOINT' };
    case 'LoadStmt': return { ...emptyFacts, kind: 'utility', command: 'LOAD' };
    case 'AlterSystemStmt': return { ...emptyFacts, kind: 'utility', command: 'ALTER SYSTEM', flags: { ...noFlags, outsideTransaction: true } };
    default: return undefined;
  }
}

function named(kind: StatementKind, objectName: string | undefined): StatementFacts {
  return { ...emptyFacts, kind, objectName };
}

function transactionFacts(node: Tree): StatementFacts {
  const kind = transactionKinds[stringOf(node['kind']) ?? ''] ?? 'utility';
  const twoPhase = kind === 'prepare_transaction' || kind === 'commit_prepared' || kind === 'rollback_prepared';
  return {
    ...emptyFacts, kind,
    flags: { ...noFlags, literalSensitive: twoPhase, outsideTransaction: kind === 'commit_prepared' || kind === 'rollback_prepared' },
    objectName: twoPhase ? stringOf(node['gid']) : stringOf(node['savepoint_name']),
    transaction: transactionModes(node['options'], node['chain'] === true),
  };
}

function transactionModes(options: unknown, chain: boolean): TransactionModes {
  const modes = new Map<string, string>();
  for (const item of listOf(options)) {
    const option = nodeOf(item, 'DefElem');
    if (option !== undefined) modes.set(stringOf(option['defname']) ?? '', constantText(option['arg']) ?? '');
  }
  return {
    isolation: isolationOf(modes.get('transaction_isolation')),
    readOnly: truthOf(modes.get('transaction_read_only')), deferrable: truthOf(modes.get('transaction_deferrable')), chain,
  };
}

function isolationOf(text: string | undefined): TransactionModes['isolation'] {
  return text === 'read uncommitted' || text === 'read committed' || text === 'repeatable read' || text === 'serializable' ? text : undefined;
}

function truthOf(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : text !== '0';
}

/** SET, SET LOCAL, RESET, SET TRANSACTION, SET SESSION CHARACTERISTICS. The value is part of the facts, so they hold for the exact text only. */
function setFacts(node: Tree): StatementFacts {
  const collector = new FactsCollector();
  collector.raise('literalSensitive');
  const name = (stringOf(node['name']) ?? '').toLowerCase();
  const local = node['is_local'] === true;
  const args = listOf(node['args']);
  switch (stringOf(node['kind'])) {
    case 'VAR_RESET_ALL': return collector.facts('reset', { setting: { name: 'all', value: undefined, local: false } });
    case 'VAR_RESET': return collector.facts('reset', { setting: { name, value: undefined, local: false } });
    case 'VAR_SET_DEFAULT': return collector.facts('reset', { setting: { name, value: undefined, local } });
    case 'VAR_SET_MULTI':
      if (name === 'session characteristics') return collector.facts('set', { setting: { name, value: undefined, local: false }, transaction: transactionModes(args, false) });
      return collector.facts('set_transaction', { transaction: transactionModes(args, false) });
    default:
      collector.setCustom(name);
      return collector.facts('set', { setting: { name, value: settingValue(name, args), local } });
  }
}

function settingValue(name: string, args: readonly unknown[]): string | undefined {
  const values = args.map(constantText);
  if (values.length === 0 || !values.every((value) => value !== undefined)) return undefined;
  return values.map((value) => quoteListElement(name, value)).join(', ');
}
