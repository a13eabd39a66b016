/**
 * Where a statement goes, told from the names in its text alone: what runs on the source while it is the authority passes, all else is
 * refused with what is missing. It errs only towards refusing: a name counts wherever it stands, in strings and comments too,
 * and while some table is not wholly the source's, so does everything that could touch it without a name.
 */
import type { RoutingSnapshot, TableRoute } from '../../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import { beforeParenthesis, onlyWithoutSpace } from './built-in-functions.ts';
import { readText } from './decide-by-reading.ts';
import { decideByRelations } from './decide-by-relations.ts';
import { heldUp } from './mysql-decision.ts';
import type { MysqlContext, MysqlDecider, MysqlDecision } from './mysql-decision.ts';

/** What a snapshot says by name. */
interface Names {
  /** Lower case → keys of the tables that it may reach. */
  readonly words: ReadonlyMap<string, readonly string[]>;
  /** Names that are no single word, in lower case. */
  readonly others: ReadonlyMap<string, readonly string[]>;
  readonly all: readonly string[];
  /** Some table may not be read and written at will on the source. */
  readonly isWatchful: boolean;
  /** Names whose spelling depends on a client's character set. */
  readonly hasOpenNames: boolean;
}

const reads = /^[\s(]*(?:select|show|desc|describe|explain|table|values|with)\b/i;
/** Whatever comes behind these, no definition is changed. */
const ofRows = /^[\s(]*(?:select|table|values|with)\b/i;
/** A read that locks, writes or runs what it explains. */
const readsMore = /\b(?:for\s+(?:update|share)|lock\s+in\s+share\s+mode|into|analyze|insert|update|delete|replace)\b/i;
const changes = /^\s*(?:insert|update|delete|replace|load)\b/i;
/**
 * What these run, or on what, is elsewhere. Between two words a comment may stand, so anything may. A branch of XA may have been prepared by any
 * session.
 */
const opaque = /\b(?:call|execute|(?<!\b(?:deallocate|drop)\s+)prepare|drop\b[\s\S]*?\b(?:database|schema)|begin\b[\s\S]*?\bnot\b[\s\S]*?\batomic|handler|binlog|xa\b[\s\S]*?\bcommit)\b/;
const commitsOwnBranch = /^\s*xa\s+commit\s+[^/#-]*\bone\s+phase\s*;?\s*$/;
/** Another name, by which the table could be reached unseen. */
const makesName = /\b(?:create|alter)\b(?!\s+(?:temporary\s+|or\s+replace\s+)*table\b)[\s\S]*?\b(?:view|trigger|procedure|function|event|package)\b/;
/** Settings by which a session's changes escape the capture. */
const capturesBy = /\b(?:sql_log_bin|binlog_format|binlog_row_image|binlog_row_value_options|skip_replication|gtid_next|server_id)\b/;
const ofXa = /^\s*xa\s+(start|begin|end|prepare|commit|rollback|recover)\b/;
const locksServer = /\bflush\b[\s\S]*\bread\s+lock\b/;
const sets = /\bset(?:_var)?\b/;

export class DecideByName implements MysqlDecider {
  readonly #known = new WeakMap<RoutingSnapshot, Names>();

  decide(text: string, snapshot: RoutingSnapshot, context: MysqlContext): MysqlDecision {
    const names = this.#namesOf(snapshot);
    const decision = this.#byWords(text, names, snapshot, context);
    const { local } = context;
    // Names that are spelled in a client's own character set are looked for by their letters alone.
    if (decision.route !== 'refused' || !local || (names.hasOpenNames && !/^[\x00-\x7f]*$/.test(text))) return decision;
    if (!local.isKnown) return { route: 'ask', touches: [] };
    const found = readText(text, snapshot, local);
    if (!found || found.touches.some((key) => snapshot.tables[key]?.writes === 'local')) return decision;
    return refusedOf(found.touches, snapshot, found.isRead, true) ?? { route: 'remote', touches: found.touches, waits: !found.isRead && areWaitedFor(found.touches, snapshot) };
  }

  #byWords(text: string, names: Names, snapshot: RoutingSnapshot, context: MysqlContext): MysqlDecision {
    // Servers take these two for the ASCII letters.
    const lower = text.replaceAll('\u212a', 'k').replaceAll('\u0130', 'i').toLowerCase();
    const hidden = hiddenTouch(lower, names);
    const touches = hidden === undefined ? named(lower, names) : names.all;
    if (capturesBy.test(lower) && sets.test(lower)) return refusal('the setting would hide changes of tables that are being migrated', 'What the session wrote would not be in the binary log as rows.');
    const ofBranch = context.local ? this.#ofBranch(lower, names, snapshot, context) : undefined;
    if (ofBranch) return ofBranch;
    if (locksServer.test(lower) && names.all.some((key) => snapshot.tables[key]?.writes === 'local')) return refusal('FLUSH TABLES … READ LOCK would lock the tables of the MySQL server, and not those whose rows are on local', 'What is read under it would not be of one moment.');
    if (heldUp(touches, snapshot, context).length > 0) return { route: 'wait', touches };
    if (context.local && touches.some((key) => snapshot.tables[key]?.writes === 'local')) {
      if (!context.local.isKnown) return { route: 'ask', touches };
      const decision = decideByRelations(text, snapshot, context.local);
      if (decision.side === 'neither' && (hidden === undefined || decision.isDefinition === true)) return refusal(decision.message, decision.detail);
      if (decision.side === 'local') return { route: 'local', touches: decision.touches };
      if (decision.side === 'both') return refusedOf(decision.touches.filter((key) => snapshot.tables[key]?.writes !== 'local'), snapshot, false, false) ?? { route: 'remote', touches: decision.touches, waits: areWaitedFor(decision.touches, snapshot) };
      // What it names is the server's: words in strings and comments are none. What it does not name may still be touched.
      if (hidden === undefined && decision.side === 'server') return this.#onServer(lower, decision.touches, snapshot, false);
    }
    if (hidden !== undefined && names.isWatchful) return refusal(`${hidden} may touch tables that are being migrated`, 'What it runs cannot be seen by its text.');
    return this.#onServer(lower, touches, snapshot, hidden !== undefined);
  }

  /**
   * Of XA, where there is a way to local. A branch may be local's, which the session asks first. One of the server has not written tables that are on local: a
   * cutover waits for those that are prepared. Undefined: it is none, or one that may write what is not to be written now.
   */
  #ofBranch(lower: string, names: Names, snapshot: RoutingSnapshot, context: MysqlContext): MysqlDecision | undefined {
    const [, verb] = ofXa.exec(lower) ?? [];
    if (verb === undefined || /;\s*\S/.test(lower)) return undefined;
    const touches = verb === 'prepare' || verb === 'commit' ? names.all.filter((key) => snapshot.tables[key]?.writes !== 'local') : [];
    if (heldUp(touches, snapshot, context).length > 0) return { route: 'wait', touches };
    return refusedOf(touches, snapshot, false, true) === undefined ? { route: 'remote', touches, waits: verb === 'commit' && areWaitedFor(touches, snapshot) } : undefined;
  }

  /** `isHidden`: it may do more than it says. */
  #onServer(lower: string, touches: readonly string[], snapshot: RoutingSnapshot, isHidden: boolean): MysqlDecision {
    const isSingle = !/;\s*\S/.test(lower);
    const isRead = isSingle && reads.test(lower) && !readsMore.test(lower);
    const isChange = isSingle && (changes.test(lower) || ofRows.test(lower));
    if (touches.length > 0 && makesName.test(lower)) return refusal(`table "${touches[0]}" is being migrated: it cannot be given another name to be reached by now`, 'The gateway tells by their names which tables a statement touches.');
    return refusedOf(touches, snapshot, isRead, isChange) ?? { route: 'remote', touches, waits: (!isRead || isHidden) && areWaitedFor(touches, snapshot) };
  }

  #namesOf(snapshot: RoutingSnapshot): Names {
    let names = this.#known.get(snapshot);
    if (!names) {
      names = readNames(snapshot);
      this.#known.set(snapshot, names);
    }
    return names;
  }
}

/** `isChange`: of rows, not of a definition. */
function refusedOf(touches: readonly string[], { tables }: RoutingSnapshot, isRead: boolean, isChange: boolean): MysqlDecision | undefined {
  for (const key of touches) {
    const route = tables[key];
    const refused = route && refusalFor(key, route, isRead, isChange);
    if (refused) return refused;
  }
  return undefined;
}

function areWaitedFor(touches: readonly string[], { tables }: RoutingSnapshot): boolean {
  return touches.some((key) => tables[key]?.waitVisible === true);
}

function refusalFor(key: string, { state, writes, writesBlocked, ddlBlocked }: TableRoute, isRead: boolean, isChange: boolean): MysqlDecision | undefined {
  const table = `table "${key}" is ${state}`;
  if (writes === 'local') return refusal(`${table}: its rows are on local, where this statement of a MySQL client cannot run`, 'It would have to be translated to PostgreSQL.');
  if (isRead) return undefined;
  if (writesBlocked) return refusal(`${table}: it is not to be written now`, 'Its writes are blocked in this state.');
  if (ddlBlocked && !isChange) return refusal(`${table}: its definition is not to be changed now`, 'Its DDL is blocked in this state.');
  return undefined;
}

function refusal(message: string, detail: string): MysqlDecision {
  return { route: 'refused', error: new MigrationError('MIG082', message, { detail, hint: 'Run it by the PostgreSQL protocol, or wait for another state of the table.' }) };
}

function readNames(snapshot: RoutingSnapshot): Names {
  const words = new Map<string, readonly string[]>();
  const others = new Map<string, readonly string[]>();
  const add = (name: string, keys: readonly string[]): void => {
    const lower = name.toLowerCase();
    const into = /^[\w$]+$/.test(lower) ? words : others;
    into.set(lower, [...new Set([...into.get(lower) ?? [], ...keys])]);
  };
  const tables = Object.entries(snapshot.tables).filter(([, route]) => route.door === 'mysql');
  for (const [key, { source }] of tables) add(source.name, [key]);
  const ours = new Set(tables.map(([key]) => key));
  for (const reached of [snapshot.views, snapshot.writeClosure]) {
    for (const [key, keys] of Object.entries(reached)) {
      const touched = keys.filter((each) => ours.has(each));
      if (touched.length > 0) add(nameOf(key), touched);
    }
  }
  const routes = tables.map(([, route]) => route);
  return {
    words, others, all: [...ours],
    isWatchful: routes.some((route) => route.writes === 'local' || route.writesBlocked || route.ddlBlocked),
    hasOpenNames: [...others.keys()].some((name) => !/^[\x20-\x7e]*$/.test(name)),
  };
}

/** Of a key as `relationKey` writes it. */
function nameOf(key: string): string {
  return key.replace(/^(?:[^.\\]|\\.)*\./, '').replace(/\\(.)/g, '$1');
}

function named(text: string, { words, others }: Names): readonly string[] {
  const found = new Set<string>();
  for (const [word] of text.matchAll(/[\w$]+/g)) for (const key of words.get(word) ?? []) found.add(key);
  for (const [name, keys] of others) if (['`', '"'].some((quote) => text.includes(name.replaceAll(quote, quote + quote)))) for (const key of keys) found.add(key);
  return [...found];
}

/** The construct by which tables may be touched that the text does not name. */
function hiddenTouch(text: string, names: Names): string | undefined {
  if (names.hasOpenNames && !/^[\x00-\x7f]*$/.test(text)) return 'a statement with letters outside ASCII';
  const [found] = commitsOwnBranch.test(text) ? [] : opaque.exec(text) ?? [];
  return found === undefined ? unknownCall(text) : found.slice(0, 20).toUpperCase();
}

/** A function of the database's own, as far as one can tell. */
function unknownCall(text: string): string | undefined {
  const hasComment = /--|#|\/\*/.test(text);
  for (let at = text.indexOf('('); at >= 0; at = text.indexOf('(', at + 1)) {
    const before = text.slice(Math.max(0, at - 300), at).trimEnd();
    if (hasComment && /(?:\*\/|--[^\n]*|#[^\n]*)$/.test(before)) return 'a comment before a parenthesis';
    const [, word = ''] = /([\w$\u0080-\uffff]+|`[^`]*`|"[^"]*")$/.exec(before) ?? [];
    if (word === '' || (beforeParenthesis.has(word) && !(onlyWithoutSpace.has(word) && text[at - 1] !== word.at(-1)))) continue;
    // The columns of a table that is written, of a common table expression, of an index.
    if (!hasComment && /\b(?:into|table|with|recursive|references|index|key|constraint|exists)\s+(?:[\w$`"]+\s*\.\s*)?$/.test(before.slice(0, -word.length))) continue;
    return `${word}(…)`;
  }
  return undefined;
}
