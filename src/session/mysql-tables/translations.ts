/** Statements of PostgreSQL clients as the MySQL server gets them: translated once, kept for all sessions of a gateway. */
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import { insideOfPrepare } from '../../../grammar/dialect/mysql/sql-prepared.ts';
import { translateStatement } from '../../../grammar/dialect/mysql/translate-statement.ts';
import type { DialectCapabilities, Translation } from '../../../grammar/dialect/mysql/translation.ts';
import { codePointOrder, dialectTables, hasOwnCase } from './dialect-tables.ts';

/** A text, and all that its meaning depends on. */
export interface TranslationRequest {
  readonly text: string;
  readonly tables: ReadonlyMap<string, MigratedTable>;
  readonly snapshot: RoutingSnapshot;
  readonly searchPath: readonly string[];
  readonly timeZone: string;
  readonly parameterTypes: readonly (string | undefined)[];
  readonly capabilities: DialectCapabilities;
  /** The text is a PREPARE: the statement inside is meant, with the types that it declares. */
  readonly isPrepare?: true;
}

/** What the local database does with text. */
export interface LocalText {
  /** Orders it by code point. */
  readonly isByCodePoint: boolean;
  /** Changes the case of letters one by one, and not of ASCII's only. */
  readonly hasPlainCase: boolean;
}

/** Texts kept; when as many new ones have come, those that nobody has asked for meanwhile are gone. */
const MAX_TEXTS = 2_000;
/** A larger one is not kept: it is hardly sent twice. */
const MAX_KEPT_CHARACTERS = 16_384;

export class Translations {
  readonly #treeOf: (text: string) => unknown;
  readonly #local: LocalText;
  #young = new Map<string, Translation>();
  #old = new Map<string, Translation>();

  /** `treeOf`: as `FactsLookup.statementTree`. */
  constructor(treeOf: (text: string) => unknown, local: LocalText) {
    this.#treeOf = treeOf;
    this.#local = local;
  }

  get(request: TranslationRequest): Translation {
    const { text, tables, searchPath, timeZone, parameterTypes, capabilities } = request;
    const key = JSON.stringify([text, [...tables].map(([name, { hash }]) => [name, hash]), searchPath, timeZone, parameterTypes, capabilities.name, request.isPrepare]);
    const known = this.#young.get(key) ?? this.#old.get(key);
    if (known) {
      if (!this.#young.has(key)) this.#keep(key, known);
      return known;
    }
    const made = this.#translate(request);
    if (text.length <= MAX_KEPT_CHARACTERS) this.#keep(key, made);
    return made;
  }

  #keep(key: string, translation: Translation): void {
    this.#young.set(key, translation);
    if (this.#young.size < MAX_TEXTS) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  #translate({ text, tables, snapshot, searchPath, timeZone, parameterTypes, capabilities, isPrepare }: TranslationRequest): Translation {
    const tree = this.#treeOf(text);
    if (tree === undefined) return { type: 'refused', construct: 'a statement of this size', place: undefined };
    const inside = isPrepare ? insideOfPrepare(tree) : undefined;
    if (inside?.type === 'refused') return inside;
    const known = [...tables].flatMap(([key, table]) => {
      const route = snapshot.tables[key];
      return route === undefined ? [] : dialectTables(table, route);
    });
    const all = [...tables.values()];
    const facts = { codePointOrder: codePointOrder(all) ?? this.#local.isByCodePoint, isCaseOpen: hasOwnCase(all) || !this.#local.hasPlainCase };
    return translateStatement(inside ? inside.node : tree, { tables: known, searchPath, timeZone, ...facts, parameterTypes: inside ? inside.parameterTypes : parameterTypes, capabilities });
  }
}
