/** What the proxy does by a statement's text, derived once from its facts; texts that come again are not read again. */
import { readCql } from '../../grammar/cql/statement-facts.ts';
import type { CqlStatement } from '../../grammar/cql/statement.ts';
import { planOf } from './modes.ts';
import type { ModeTable, Plan } from './modes.ts';
import { requestKinds } from './request-kinds.ts';
import type { RequestKind } from './request-kinds.ts';

export interface StatementTraits {
  readonly facts: CqlStatement;
  readonly kind: RequestKind;
  /** USE, answered by the proxy. */
  readonly isUse: boolean;
  /** A text that every cluster would give another value. */
  readonly isUnrepeatable: boolean;
  readonly isTruncate: boolean;
  /** Empty when the text names none. */
  readonly keyspace: string;
  readonly table: string;
}

const virtualTables = new Set(['local', 'peers', 'peers_v2']);

function kindOf({ kind, isConditional }: CqlStatement): RequestKind {
  switch (kind) {
    case 'select': case 'list': case 'use': return requestKinds.read;
    case 'insert': case 'update': case 'delete': case 'batch': return isConditional ? requestKinds.conditional : requestKinds.write;
    case 'truncate': case 'schema': case 'access': case 'unknown': return requestKinds.schema;
    default: return kind satisfies never;
  }
}

export function traitsOf(text: string): StatementTraits {
  const facts = readCql(text);
  // A batch in one text that writes several keyspaces has no one table; its children say which.
  return {
    facts, kind: kindOf(facts), isUse: facts.kind === 'use', isTruncate: facts.kind === 'truncate',
    isUnrepeatable: facts.unstableCalls.length > 0 && facts.kind !== 'select', keyspace: facts.keyspace ?? '', table: facts.table ?? '',
  };
}

/** Drivers learn from these tables which nodes there are; they shall know only the proxy. */
export function isVirtual({ facts }: StatementTraits, keyspaceInUse: string): boolean {
  return facts.kind === 'select' && (facts.keyspace ?? keyspaceInUse) === 'system' && virtualTables.has(facts.table ?? '');
}

/** `keyspace.table` of every table that the text writes. */
export function tablesOf({ facts }: StatementTraits, keyspaceInUse: string): readonly string[] {
  return (facts.batch?.children ?? [facts]).map(({ keyspace, table }) => `${keyspace ?? keyspaceInUse}.${table ?? ''}`);
}

/** What a statement that is no write of rows may change all the same: `ks.table`, `ks.*`, or the empty name for anything. Empty for what changes no rows. */
export function touchedBy({ facts }: StatementTraits, keyspaceInUse: string): readonly string[] {
  const { kind, verb, table, object } = facts;
  const keyspace = facts.keyspace ?? keyspaceInUse;
  if (kind === 'unknown') return [''];
  if (kind === 'truncate') return [`${keyspace}.${table ?? ''}`];
  if (kind !== 'schema' || verb.startsWith('CREATE') || object?.kind === 'index') return [];
  return [table === undefined || object?.kind !== 'table' ? `${keyspace}.*` : `${keyspace}.${table}`];
}

/** By the tables that the text names; why there is none, for a batch in one text whose tables do not move together: it cannot be cut. */
export function planOfStatement({ facts, keyspace, table }: StatementTraits, keyspaceInUse: string, modes: ModeTable): Plan | string {
  const named = keyspace === '' ? keyspaceInUse : keyspace;
  if (!facts.batch) return planOf(modes, named, table);
  const [first, ...others] = facts.batch.children.map((child) => ({ name: `${child.keyspace ?? keyspaceInUse}.${child.table ?? ''}`, plan: planOf(modes, child.keyspace ?? keyspaceInUse, child.table ?? '') }));
  if (!first) return planOf(modes, named, table);
  const other = others.find(({ plan }) => plan !== first.plan);
  return other ? `a batch in one text cannot write ${first.name} (mode ${first.plan.mode}) and ${other.name} (mode ${other.plan.mode})` : first.plan;
}

/** Texts of QUERY that were read lately. Two generations: when the young one is full the old one is forgotten, and nothing is kept in order. */
export class ReadTexts {
  readonly #maxBytes: number;
  #young = new Map<string, StatementTraits>();
  #old = new Map<string, StatementTraits>();
  #bytes = 0;

  constructor(maxBytes = 4 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  read(text: string): StatementTraits {
    const known = this.#young.get(text);
    if (known) return known;
    const traits = this.#old.get(text) ?? traitsOf(text);
    this.#bytes += text.length * 2 + 200;
    if (this.#bytes > this.#maxBytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bytes = 0;
    }
    this.#young.set(text, traits);
    return traits;
  }
}
