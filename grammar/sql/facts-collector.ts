/** Gathers what one statement touches while its tree is walked, and makes the finished StatementFacts of it. */
import { CatalogNames } from './catalog-names.ts';
import type { RelationRef, StatementFacts, StatementFlags, StatementKind } from './statement-facts.ts';
import { systemRelations } from './system-relations.ts';
import { stringOf } from './tree.ts';
import type { Tree } from './tree.ts';

export const noFlags: StatementFlags = {
  lockingRead: false, returning: false, writesInCte: false, sessionEffect: false, advisoryLock: false, lastingLock: false, onceOnly: false, usesLastval: false,
  literalSensitive: false, outsideTransaction: false, explainAnalyze: false, withHold: false, readsCatalog: false,
  tellsNumbers: false, unrepeatable: false, orderDependent: false, ordered: false, systemOnly: true,
};

export const emptyFacts: StatementFacts = {
  kind: 'empty', reads: [], writes: [], ddl: [], sequencesWritten: [], sequencesRead: [], functions: [], flags: noFlags,
  transaction: undefined, setting: undefined, customSettings: [], objectName: undefined, inner: undefined,
};

type Setting = NonNullable<StatementFacts['setting']>;
type RaisedFlag = Exclude<keyof StatementFlags, 'systemOnly'>;

export class FactsCollector {
  readonly #reads = new RelationSet();
  readonly #writes = new RelationSet();
  readonly #ddl = new RelationSet();
  readonly #sequencesWritten = new RelationSet();
  readonly #sequencesRead = new RelationSet();
  readonly #functions = new Set<string>();
  readonly #settings: Setting[] = [];
  readonly #customSettings = new Set<string>();
  readonly #raised = new Set<RaisedFlag>();
  /** What it would name if it turned out to read nothing but catalogs. */
  readonly catalogNames = new CatalogNames();

  read(relation: RelationRef): void {
    if (isControlRelation(relation)) this.raise('readsCatalog');
    this.#reads.add(relation);
  }

  write(relation: RelationRef): void {
    if (isControlRelation(relation)) this.raise('readsCatalog');
    this.#writes.add(relation);
  }

  define(relation: RelationRef): void {
    this.#ddl.add(relation);
  }

  writeSequence(sequence: RelationRef): void {
    this.#sequencesWritten.add(sequence);
  }

  readSequence(sequence: RelationRef): void {
    this.#sequencesRead.add(sequence);
  }

  callFunction(name: string): void {
    this.#functions.add(name);
  }

  set(setting: Setting): void {
    this.#settings.push(setting);
    this.setCustom(setting.name);
  }

  /** Counts only if the name is one that no server knows by itself. */
  setCustom(name: string): void {
    if (name.includes('.')) this.#customSettings.add(name);
  }

  raise(flag: RaisedFlag): void {
    this.#raised.add(flag);
  }

  facts(kind: StatementKind, extra: Partial<StatementFacts> = {}): StatementFacts {
    const sequences = [...this.#sequencesWritten.list(), ...this.#sequencesRead.list()];
    const relations = [...this.#reads.list(), ...this.#writes.list(), ...this.#ddl.list()];
    const flags: Record<keyof StatementFlags, boolean> = { ...noFlags };
    for (const flag of this.#raised) flags[flag] = true;
    flags.systemOnly = sequences.length === 0 && relations.every(isSystemRelation);
    // Without a relation there is no telling what a number in the answer is of.
    const isOfCatalogs = kind === 'select' && flags.systemOnly && this.#functions.size === 0;
    const catalog = isOfCatalogs ? this.catalogNames.look(relations.length > 0) : undefined;
    if (isOfCatalogs && this.catalogNames.dependsOnConstants(relations.length > 0)) flags.literalSensitive = true;
    return {
      kind,
      reads: this.#reads.list(), writes: this.#writes.list(), ddl: this.#ddl.list(),
      sequencesWritten: this.#sequencesWritten.list(), sequencesRead: this.#sequencesRead.list(),
      functions: [...this.#functions], flags,
      transaction: undefined, setting: this.#settings.length === 1 ? this.#settings[0] : undefined, customSettings: [...this.#customSettings],
      objectName: undefined, inner: undefined, ...(catalog && { catalog }), ...extra,
    };
  }
}

class RelationSet {
  readonly #relations = new Map<string, RelationRef>();

  add(relation: RelationRef): void {
    this.#relations.set(JSON.stringify([relation.schema, relation.name]), relation);
  }

  list(): readonly RelationRef[] {
    return [...this.#relations.values()];
  }
}

/** A bare name of pg_catalog is given its schema here, so that nobody has to look it up again. */
export function relationRef(schema: string | undefined, name: string): RelationRef {
  return { schema: schema ?? (systemRelations.has(name) ? 'pg_catalog' : undefined), name };
}

/** The relation that a RangeVar names; the database part of a three-part name is left out, it can only be the current one. */
export function rangeVarRef(rangeVar: Tree): RelationRef | undefined {
  const name = stringOf(rangeVar['relname']);
  return name === undefined ? undefined : relationRef(stringOf(rangeVar['schemaname']), name);
}

export function isSystemRelation(relation: RelationRef): boolean {
  const schema = relation.schema;
  return schema === 'pg_catalog' || schema === 'information_schema' || schema === 'pg_toast';
}

/** `SYS$MIGRATION_…` relations are answered by the control (specification §2.4), in whatever case they are written. */
function isControlRelation(relation: RelationRef): boolean {
  return /^sys\$migration_/i.test(relation.name);
}
