/** What calling a function means to routing: sequences, advisory locks, settings, or something that cannot be seen into. */
import type { FactsCollector } from './facts-collector.ts';
import { relationRef } from './facts-collector.ts';
import { pureExtensionFunctions, pureFunctions } from './pure-functions.ts';
import { splitQualifiedName } from './qualified-name.ts';
import type { RelationRef } from './statement-facts.ts';
import { constantText, listOf, nameParts, nodeOf, stringConstant, withoutCasts } from './tree.ts';
import type { Tree } from './tree.ts';

/** Effects that stay in the session: nothing that a table's route depends on. */
const sessionFunctions: ReadonlySet<string> = new Set(['pg_notify', 'setseed', 'pg_stat_clear_snapshot', 'pg_replication_origin_session_setup',
  'pg_replication_origin_session_reset', 'pg_replication_origin_xact_setup', 'pg_replication_origin_xact_reset']);

const onceOnly: ReadonlySet<string> = new Set(['pg_terminate_backend', 'pg_cancel_backend', 'txid_current', 'pg_current_xact_id']);

/** Looks at the call itself; its arguments are walked by the caller. */
export function collectFunctionCall(call: Tree, into: FactsCollector): void {
  const parts = nameParts(call['funcname']) ?? [];
  const name = parts.at(-1);
  if (name === undefined) return;
  const schema = parts.length > 1 ? parts.at(-2) : undefined;
  if (schema !== undefined && schema !== 'pg_catalog') {
    if (schema !== 'information_schema') into.callFunction(`${schema}.${name}`);
    return;
  }
  if (collectSequenceCall(name, listOf(call['args']), into) || collectSessionCall(name, listOf(call['args']), into)) return;
  if (onceOnly.has(name)) into.raise('onceOnly');
  if (pureFunctions.has(name) || (schema === undefined && pureExtensionFunctions.has(name))) {
    // Its literal names a relation that must be looked up anew for every text.
    if (name === 'to_regclass' || name === 'pg_get_serial_sequence') into.raise('literalSensitive');
    return;
  }
  into.callFunction(name);
}

function collectSequenceCall(name: string, args: readonly unknown[], into: FactsCollector): boolean {
  if (name === 'lastval') {
    into.raise('usesLastval');
    into.raise('sessionEffect');
    return true;
  }
  if (name !== 'nextval' && name !== 'setval' && name !== 'currval') return false;
  into.raise('literalSensitive');
  const sequence = sequenceOf(args[0]);
  if (sequence === undefined) into.callFunction(name);
  else if (name === 'currval') into.readSequence(sequence);
  else into.writeSequence(sequence);
  return true;
}

/**
 * The sequence that an argument names: a literal, cast or not. For `pg_get_serial_sequence('t', 'c')` it is the table `t`, whose
 * route is that of its own sequences.
 */
export function sequenceOf(argument: unknown): RelationRef | undefined {
  const inner = withoutCasts(argument);
  const call = nodeOf(inner, 'FuncCall');
  const isOwner = call !== undefined && nameParts(call['funcname'])?.at(-1) === 'pg_get_serial_sequence';
  const literal = stringConstant(isOwner ? listOf(call['args'])[0] : inner);
  const parts = literal === undefined ? undefined : splitQualifiedName(literal);
  const name = parts?.at(-1);
  return name === undefined ? undefined : relationRef(parts?.at(-2), name);
}

function collectSessionCall(name: string, args: readonly unknown[], into: FactsCollector): boolean {
  if (name === 'migration_row_counts') {
    into.raise('readsCatalog');
    return true;
  }
  if (/^pg_(try_)?advisory_/.test(name)) {
    into.raise('advisoryLock');
    if (!name.includes('_xact_')) into.raise('lastingLock');
    into.raise('sessionEffect');
    return true;
  }
  if (name === 'set_config') {
    collectSetConfig(args, into);
    return true;
  }
  if (!sessionFunctions.has(name)) return false;
  into.raise('sessionEffect');
  return true;
}

function collectSetConfig(args: readonly unknown[], into: FactsCollector): void {
  into.raise('sessionEffect');
  into.raise('literalSensitive');
  const setting = stringConstant(args[0]);
  const value = stringConstant(args[1]);
  const local = constantText(withoutCasts(args[2]));
  if (setting === undefined || value === undefined || local === undefined) {
    if (setting !== undefined) into.setCustom(setting.toLowerCase());
    // Two of them make `setting` undefined: which setting took which value is not known from the text.
    into.set({ name: '', value: undefined, local: false });
    into.set({ name: '', value: undefined, local: false });
    return;
  }
  into.set({ name: setting.toLowerCase(), value, local: /^(t|true|y|yes|on|1)$/i.test(local) });
}
