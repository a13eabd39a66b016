/**
 * One statement of PostgreSQL's dialect for a MySQL or MariaDB server, over PostgreSQL's own parse tree. Only what is listed in the files of this
 * folder is translated; everything else is refused by name, never guessed.
 */
import { emitDelete, emitUpdate } from './change-rows.ts';
import { mayBeCut } from './cut-text.ts';
import type { Emission, QueryOptions, QueryText, Scope } from './emission.ts';
import { emitExpression } from './expression.ts';
import { emitInsert } from './insert-rows.ts';
import { commonType, parsePgType, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { emitQuery } from './select.ts';
import { makeStep } from './step.ts';
import type { Steps } from './step.ts';
import { emitTransaction } from './transaction.ts';
import { emitTruncate } from './truncate-table.ts';
import { Refusal, refuse } from './refusal.ts';
import type { DialectCapabilities, DialectFacts, Slot, Translation } from './translation.ts';
import { unwrap } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

/** `node` is a statement of the tree, as `{SelectStmt: {…}}`. Never throws for what a client wrote. */
export function translateStatement(node: unknown, facts: DialectFacts): Translation {
  try {
    return translated(node, facts);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { type: 'refused', construct: error.construct, place: error.place };
  }
}

function translated(node: unknown, facts: DialectFacts): Translation {
  const found = unwrap(node) ?? refuse('empty statement');
  const emission = new StatementEmission(facts);
  const { command, steps, columns, needsTransaction, draws, commits } = emitStatement(emission, found.name, found.node);
  const vague = columns.find(({ type }) => type.name === 'numeric' && type.scale === undefined && type.precision !== -1);
  // Results are shown in UTC.
  if (facts.timeZone !== 'UTC' && columns.some(({ type }) => type.name === 'timestamptz')) return refuse(`timestamptz in the result in time zone ${facts.timeZone}`);
  if (vague !== undefined) return refuse(`numeric of varying scale in the result (${vague.name})`);
  // What a DELETE has taken away for a text that was cut has to come back.
  const canBeUndone = needsTransaction || (command === 'DELETE' && steps.some(({ text }) => mayBeCut(text)));
  return { type: 'plan', command, columns, needsTransaction: canBeUndone, ...(draws === undefined ? {} : { draws }), ...(commits === undefined ? {} : { commits }), parameterTypes: emission.parameterTypes, steps: steps.map((step) => ({ ...step, slots: emission.slots })) };
}

function emitStatement(emission: Emission, name: string, node: Tree): Steps & { readonly command: string } {
  switch (name) {
    case 'SelectStmt': return { command: 'SELECT', ...selectSteps(emission, node) };
    case 'InsertStmt': return { command: 'INSERT', ...emitInsert(emission, node) };
    case 'UpdateStmt': return { command: 'UPDATE', ...emitUpdate(emission, node) };
    case 'DeleteStmt': return { command: 'DELETE', ...emitDelete(emission, node) };
    case 'TruncateStmt': return { command: 'TRUNCATE TABLE', ...emitTruncate(emission, node) };
    case 'TransactionStmt': return emitTransaction(emission, node);
    default: return refuse(name.replace(/Stmt$/, ''));
  }
}

function selectSteps(emission: Emission, node: Tree): Steps {
  const query = emission.query({ SelectStmt: node }, undefined, { named: false, texts: 'shown' });
  if (query.columns.length === 0) return refuse('SELECT without columns');
  // A number whose text comes with it has its own scale in each row.
  const columns = query.columns.map(({ name, value }) => ({ name, type: value.shown === undefined ? value.type : { ...value.type, precision: -1 } }));
  return { steps: [makeStep(query.sql, { answer: 'rows', columns, rowCount: 'rows' })], columns, needsTransaction: false };
}

class StatementEmission implements Emission {
  readonly facts: DialectFacts;
  isCaseOpen: boolean;
  readonly slots: Slot[] = [];
  readonly parameterTypes: (PgType | undefined)[] = [];
  readonly #places = new Map<string, string>();
  #names = 0;

  constructor(facts: DialectFacts) {
    this.facts = facts;
    this.isCaseOpen = facts.isCaseOpen === true;
  }

  get capabilities(): DialectCapabilities {
    return this.facts.capabilities;
  }

  slot(slot: Slot): string {
    const key = JSON.stringify(slot);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const place = `\0${this.slots.length}\0`;
    this.slots.push(slot);
    this.#places.set(key, place);
    return place;
  }

  givenType(number: number): PgType | undefined {
    const spelling = this.facts.parameterTypes?.[number - 1];
    return spelling === undefined ? this.parameterTypes[number - 1] : parsePgType(spelling);
  }

  parameterType(number: number, wanted: PgType): PgType {
    const given = this.givenType(number);
    const type = given ?? wanted;
    if (given !== undefined && commonType(given, wanted) === undefined) return refuse(`parameter $${number} both as ${typeLabel(given)} and as ${typeLabel(wanted)}`);
    this.parameterTypes[number - 1] = type;
    return type;
  }

  expression(node: unknown, scope: Scope): ReturnType<Emission['expression']> {
    return emitExpression(this, node, scope);
  }

  query(node: unknown, parent: Scope | undefined, options: QueryOptions): QueryText {
    return emitQuery(this, node, parent, options);
  }

  newName(): string {
    this.#names += 1;
    return `r${this.#names}`;
  }
}
