/**
 * Definitions of MySQL that can be carried out on both sides, or on local as they stand: keys that only find rows, and the maintenance of tables. Undefined is whatever else a
 * statement says: nothing is left out of one that is read.
 * https://dev.mysql.com/doc/refman/8.4/en/create-index.html https://dev.mysql.com/doc/refman/8.4/en/table-maintenance-statements.html
 */
import type { MysqlTextMode } from './mysql-translation.ts';
import { RefusedMysql } from './refused-mysql.ts';
import { TokenCursor } from './token-cursor.ts';

export interface DefinedTable {
  readonly database: string | undefined;
  readonly name: string;
}

export interface AddedKey {
  readonly name: string;
  readonly parts: readonly KeyPart[];
  /** IF NOT EXISTS. */
  readonly isOptional: boolean;
}

export interface KeyPart {
  readonly column: string;
  /** Characters, or bytes. */
  readonly prefix: number | undefined;
  readonly descending: boolean;
}

export type MysqlDefinition =
  /** Each in the order of the statement. */
  | { readonly type: 'keys'; readonly tables: readonly [DefinedTable]; readonly added: readonly AddedKey[]; readonly dropped: readonly string[] }
  /** `options`: as they are written. */
  | { readonly type: 'maintenance'; readonly word: 'analyze' | 'optimize' | 'check' | 'repair'; readonly tables: readonly DefinedTable[]; readonly options: string };

const isOne = /^(?:\s|\/\*(?![!M])[\s\S]*?\*\/|--\s[^\n]*\n|#[^\n]*\n)*(?:alter|create|drop|analyze|optimize|check|repair)\s/i;

export function readMysqlDefinition(text: string, mode: MysqlTextMode): MysqlDefinition | undefined {
  if (!isOne.test(text)) return undefined;
  try {
    return new DefinitionParser(text, mode).definition();
  } catch (error) {
    if (error instanceof RefusedMysql) return undefined;
    throw error;
  }
}

class DefinitionParser extends TokenCursor {
  definition(): MysqlDefinition | undefined {
    const word = this.acceptOne(['ALTER', 'CREATE', 'DROP', 'ANALYZE', 'OPTIMIZE', 'CHECK', 'REPAIR']);
    const found = word === 'ALTER' ? this.#alter() : word === 'CREATE' ? this.#create() : word === 'DROP' ? this.#drop() : this.#maintenance(word);
    if (found === undefined) return undefined;
    this.accept(';');
    return this.isAtEnd ? found : undefined;
  }

  #table(): DefinedTable {
    const first = this.name();
    return this.accept('.') ? { database: first, name: this.nameBehindPoint() } : { database: undefined, name: first };
  }

  #create(): MysqlDefinition {
    this.acceptOne(['ONLINE', 'OFFLINE']);
    this.expect('INDEX');
    const isOptional = this.accept('IF', 'NOT', 'EXISTS');
    const name = this.name();
    this.#method();
    this.expect('ON');
    const tables = [this.#table()] as const;
    const parts = this.#parts();
    this.#ways();
    return { type: 'keys', tables, added: [{ name, parts, isOptional }], dropped: [] };
  }

  #drop(): MysqlDefinition {
    this.acceptOne(['ONLINE', 'OFFLINE']);
    this.expect('INDEX');
    this.accept('IF', 'EXISTS');
    const name = this.name();
    this.expect('ON');
    const tables = [this.#table()] as const;
    this.#ways();
    return { type: 'keys', tables, added: [], dropped: [name] };
  }

  #alter(): MysqlDefinition | undefined {
    this.acceptOne(['ONLINE', 'OFFLINE']);
    this.expect('TABLE');
    this.accept('IF', 'EXISTS');
    const tables = [this.#table()] as const;
    const added: AddedKey[] = [];
    const dropped: string[] = [];
    this.list(() => {
      if (this.#way()) return;
      const isAdded = this.accept('ADD');
      if (!isAdded) this.expect('DROP');
      if (this.acceptOne(['INDEX', 'KEY']) === undefined) this.fail();
      const isOptional = isAdded ? this.accept('IF', 'NOT', 'EXISTS') : this.accept('IF', 'EXISTS');
      const name = this.name();
      if (!isAdded) return void dropped.push(name);
      this.#method();
      added.push({ name, parts: this.#parts(), isOptional });
    });
    return added.length + dropped.length === 0 ? undefined : { type: 'keys', tables, added, dropped };
  }

  /** An expression is no part that is known here. */
  #parts(): KeyPart[] {
    const parts = this.inParentheses(() => this.list((): KeyPart => {
      const column = this.name();
      const prefix = this.is('(') ? this.inParentheses(() => (this.token.kind === 'integer' ? Number(this.next().text) : this.fail())) : undefined;
      return { column, prefix, descending: this.acceptOne(['ASC', 'DESC']) === 'DESC' };
    }));
    this.#method();
    return parts;
  }

  /** InnoDB has one kind. */
  #method(): void {
    if (this.accept('USING') && this.acceptOne(['BTREE', 'HASH']) === undefined) this.fail();
  }

  /** How the server goes about it; local never stops writers. */
  #ways(): void {
    while (this.#way());
  }

  #way(): boolean {
    if (this.acceptOne(['ALGORITHM', 'LOCK']) === undefined) return false;
    this.accept('=');
    if (this.next().kind !== 'word') this.fail();
    return true;
  }

  #maintenance(word: string | undefined): MysqlDefinition | undefined {
    const isCheck = word === 'CHECK';
    if (!isCheck) this.acceptOne(['NO_WRITE_TO_BINLOG', 'LOCAL']);
    if (this.acceptOne(['TABLE', 'TABLES']) === undefined) return undefined;
    const tables = this.list(() => this.#table());
    const from = this.place;
    const options = isCheck ? ['FOR', 'UPGRADE', 'QUICK', 'FAST', 'MEDIUM', 'EXTENDED', 'CHANGED'] : word === 'REPAIR' ? ['QUICK', 'EXTENDED', 'USE_FRM'] : [];
    while (this.acceptOne(options) !== undefined);
    const known = (['analyze', 'optimize', 'check', 'repair'] as const).find((each) => each.toUpperCase() === word);
    return known && { type: 'maintenance', word: known, tables, options: this.lastEnd > from ? this.text.slice(from, this.lastEnd) : '' };
  }
}
