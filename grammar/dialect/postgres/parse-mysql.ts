/** A statement of MySQL's dialect as a tree. What is not known here is `undefined`; what is known and written wrongly is refused as `syntax`. */
import type { Assignment, Delete, Expression, Insert, LoadData, SelectItem, Statement, TargetTable, Update } from './mysql-tree.ts';
import type { MysqlTextMode } from './mysql-translation.ts';
import { QueryParser } from './parse-query.ts';
import { refuse } from './refused-mysql.ts';

export interface ParsedMysql {
  readonly statement: Statement;
  /** Number of `?`. */
  readonly parameters: number;
}

/** Throws `RefusedMysql`. */
export function parseMysql(text: string, mode: MysqlTextMode): ParsedMysql | undefined {
  const parser = new StatementParser(text, mode);
  const statement = parser.statement();
  return statement === undefined ? undefined : { statement, parameters: parser.parameters };
}

class StatementParser extends QueryParser {
  statement(): Statement | undefined {
    const statement = this.#statement();
    if (statement === undefined) return undefined;
    this.accept(';');
    if (!this.isAtEnd) this.fail();
    return statement;
  }

  #statement(): Statement | undefined {
    switch (this.token.key) {
      case 'SELECT': case '(': case 'VALUES': return { type: 'query', query: this.query() };
      case 'WITH': return this.#with();
      case 'INSERT': case 'REPLACE': return this.#insert();
      case 'UPDATE': return this.#update(false);
      case 'DELETE': return this.#delete(false);
      case 'TRUNCATE':
        this.next();
        this.accept('TABLE');
        return { type: 'truncate', table: this.#target() };
      case 'LOAD': return this.#load();
      case 'DO':
        this.next();
        return { type: 'do', expressions: this.list(() => this.expression()) };
      case 'SET': return this.#set();
      case 'CALL': return this.#call();
      case 'LOCK': case 'UNLOCK': return this.#lock();
      case 'USE':
        this.next();
        return { type: 'use', database: this.name() };
      case 'SHOW':
        this.#skip();
        return { type: 'other', kind: 'show' };
      default: return this.#transaction();
    }
  }

  #skip(): void {
    while (!this.isAtEnd) this.next();
  }

  #with(): Statement {
    let ahead = 0;
    for (let depth = 0; ; ahead += 1) {
      const { key, kind } = this.peek(ahead);
      if (kind === 'end') break;
      if (key === '(') depth += 1;
      if (key === ')') depth -= 1;
      if (depth === 0 && (key === 'UPDATE' || key === 'DELETE')) {
        this.withClause();
        return key === 'UPDATE' ? this.#update(true) : this.#delete(true);
      }
    }
    return { type: 'query', query: this.query() };
  }

  #target(): TargetTable {
    return { ...this.tableName(), alias: undefined };
  }

  #words(...words: readonly string[]): boolean {
    let isIgnored = false;
    for (let word = this.acceptOne([...words, 'IGNORE']); word !== undefined; word = this.acceptOne([...words, 'IGNORE'])) isIgnored ||= word === 'IGNORE';
    return isIgnored;
  }

  #insert(): Insert {
    const type = this.next().key === 'REPLACE' ? 'replace' : 'insert';
    const ignore = this.#words('LOW_PRIORITY', 'HIGH_PRIORITY', 'DELAYED');
    this.accept('INTO');
    const table = this.#target();
    if (this.is('PARTITION')) refuse('PARTITION', this.place);
    const hasList = this.is('(') && !this.isQueryStart();
    let columns = hasList ? this.inParentheses(() => (this.is(')') ? [] : this.list(() => this.#columnName()))) : undefined;
    let source: Insert['source'];
    if (this.accept('SET')) {
      const assignments = this.list(() => this.#assignment());
      columns = assignments.map(({ column }) => column);
      source = { type: 'values', rows: [assignments.map(({ value }) => value)] };
    } else if (!this.is('VALUES', 'ROW') && (this.accept('VALUES') || this.accept('VALUE'))) {
      source = { type: 'values', rows: this.list(() => this.inParentheses(() => (this.is(')') ? [] : this.list(() => this.expression())))) };
    } else source = { type: 'query', query: this.query() };
    const rowAlias = this.accept('AS') ? this.name() : undefined;
    const columnAliases = rowAlias !== undefined && this.is('(') ? this.inParentheses(() => this.list(() => this.name())) : [];
    const onDuplicate = this.accept('ON', 'DUPLICATE', 'KEY', 'UPDATE') ? this.list(() => this.#assignment()) : [];
    return { type, ignore, table, columns, source, rowAlias, columnAliases, onDuplicate, returning: this.#returning() };
  }

  #returning(): readonly SelectItem[] | undefined {
    return this.accept('RETURNING') ? this.selectItems() : undefined;
  }

  #columnName(): string {
    let name = this.name();
    while (this.accept('.')) name = this.nameBehindPoint();
    return name;
  }

  #assignment(): Assignment {
    const { place } = this;
    const parts = [this.name()];
    while (this.accept('.')) parts.push(this.nameBehindPoint());
    if (!this.accept('=') && !this.accept(':=')) this.fail();
    return { table: parts.at(-2), column: parts.at(-1) ?? '', value: this.expression(), place };
  }

  #update(hasWith: boolean): Update {
    this.expect('UPDATE');
    const ignore = this.#words('LOW_PRIORITY');
    const from = this.tableReferences();
    this.expect('SET');
    const assignments = this.list(() => this.#assignment());
    return { type: 'update', ignore, from, assignments, ...this.#conditions(), hasWith };
  }

  #conditions(): Pick<Update, 'where' | 'order' | 'limit'> {
    const where = this.accept('WHERE') ? this.expression() : undefined;
    const order = this.accept('ORDER', 'BY') ? this.orderItems() : [];
    return { where, order, limit: this.limit() };
  }

  #delete(hasWith: boolean): Delete {
    this.expect('DELETE');
    const ignore = this.#words('LOW_PRIORITY', 'QUICK');
    if (!this.accept('FROM')) {
      const targets = this.#targets();
      this.expect('FROM');
      return { type: 'delete', ignore, targets, from: this.tableReferences(), ...this.#conditions(), hasWith, returning: undefined };
    }
    if (this.#isUsing()) {
      const targets = this.#targets();
      this.expect('USING');
      return { type: 'delete', ignore, targets, from: this.tableReferences(), ...this.#conditions(), hasWith, returning: undefined };
    }
    return { type: 'delete', ignore, targets: [], from: { type: 'table', ...this.targetTable() }, ...this.#conditions(), hasWith, returning: this.#returning() };
  }

  #isUsing(): boolean {
    for (let ahead = 0; ; ahead += 1) {
      const { key, kind } = this.peek(ahead);
      if (key === 'USING') return true;
      if (kind !== 'name' && key !== '.' && key !== ',' && key !== '*' && (kind !== 'word' || key === 'WHERE')) return false;
    }
  }

  #targets(): TargetTable[] {
    return this.list(() => {
      const { place } = this;
      const parts = [this.name()];
      while (this.accept('.')) if (!this.accept('*')) parts.push(this.nameBehindPoint());
      return { database: parts.at(-2), name: parts.at(-1) ?? '', alias: undefined, place };
    });
  }

  #set(): Statement {
    this.next();
    const expressions: Expression[] = [];
    do {
      this.acceptOne(['GLOBAL', 'SESSION', 'LOCAL', 'PERSIST', 'PERSIST_ONLY']);
      if (this.acceptOne(['NAMES', 'CHARACTER', 'CHARSET', 'TRANSACTION', 'PASSWORD', 'ROLE', 'DEFAULT', 'STATEMENT']) !== undefined) {
        this.#skip();
        break;
      }
      while (!this.is('=') && !this.is(':=')) if (this.next().kind === 'end') this.fail();
      this.next();
      const isWord = ['ON', 'ALL', 'DEFAULT', 'BINARY', 'ROW'].includes(this.token.key) && [',', ';', ''].includes(this.peek(1).key);
      if (isWord) this.next();
      else expressions.push(this.expression());
    } while (this.accept(','));
    return { type: 'set', expressions };
  }

  #call(): Statement {
    this.next();
    const { database, name } = this.tableName();
    const args = this.is('(') ? this.inParentheses(() => (this.is(')') ? [] : this.list(() => this.expression()))) : [];
    return { type: 'call', name: database === undefined ? name : `${database}.${name}`, args };
  }

  #lock(): Statement | undefined {
    const isUnlock = this.next().key === 'UNLOCK';
    if (this.acceptOne(['TABLE', 'TABLES']) === undefined) return undefined;
    if (isUnlock) return { type: 'lock', tables: [] };
    return { type: 'lock', tables: this.list(() => {
      const table = this.targetTable();
      this.accept('LOW_PRIORITY');
      const word = this.acceptOne(['READ', 'WRITE']) ?? this.fail();
      this.accept('LOCAL');
      return { ...table, write: word === 'WRITE' };
    }) };
  }

  /** https://dev.mysql.com/doc/refman/8.4/en/load-data.html */
  #load(): LoadData | undefined {
    this.next();
    if (!this.accept('DATA')) return undefined;
    this.acceptOne(['LOW_PRIORITY', 'CONCURRENT']);
    const isLocal = this.accept('LOCAL');
    this.expect('INFILE');
    const file = this.#string();
    const duplicates = this.acceptOne(['REPLACE', 'IGNORE']);
    this.expect('INTO', 'TABLE');
    const table = this.#target();
    if (this.is('PARTITION')) refuse('PARTITION', this.place);
    const charset = this.accept('CHARACTER', 'SET') || this.accept('CHARSET') ? (this.token.kind === 'string' ? this.#string() : this.is('BINARY') ? this.next().text : this.name()).toLowerCase() : undefined;
    const fields = { terminated: '\t', enclosed: '', escaped: '\\' };
    if (this.acceptOne(['FIELDS', 'COLUMNS']) !== undefined) {
      for (;;) {
        if (this.accept('TERMINATED', 'BY')) fields.terminated = this.#string();
        else if (this.accept('OPTIONALLY', 'ENCLOSED', 'BY') || this.accept('ENCLOSED', 'BY')) fields.enclosed = this.#string();
        else if (this.accept('ESCAPED', 'BY')) fields.escaped = this.#string();
        else break;
      }
    }
    const lines = { starting: '', terminated: '\n' };
    if (this.accept('LINES')) {
      for (;;) {
        if (this.accept('STARTING', 'BY')) lines.starting = this.#string();
        else if (this.accept('TERMINATED', 'BY')) lines.terminated = this.#string();
        else break;
      }
    }
    let skipped = 0;
    if (this.accept('IGNORE')) {
      skipped = this.token.kind === 'integer' ? Number(this.next().text) : this.fail();
      if (this.acceptOne(['LINES', 'ROWS']) === undefined) this.fail();
    }
    if (this.is('(') && this.peek(1).kind === 'user variable') refuse('LOAD DATA into user variables', this.place);
    const columns = this.is('(') ? this.inParentheses(() => (this.is(')') ? [] : this.list(() => (this.token.kind === 'user variable' ? refuse('LOAD DATA into user variables', this.place) : this.#columnName())))) : undefined;
    if (this.is('SET')) refuse('SET of LOAD DATA', this.place);
    return { type: 'load', isLocal, file, replaces: duplicates === 'REPLACE', table, charset, fields, lines, skipped, columns: columns?.length === 0 ? undefined : columns };
  }

  #string(): string {
    return this.token.kind === 'string' ? this.next().text : this.fail();
  }

  #transaction(): Statement | undefined {
    const { key } = this.next();
    const start = (kind: 'begin' | 'commit' | 'rollback'): Statement => ({ type: 'transaction', kind, name: undefined, options: this.#options() });
    const named = (kind: 'savepoint' | 'rollback to' | 'release'): Statement => ({ type: 'transaction', kind, name: this.name(), options: [] });
    switch (key) {
      case 'BEGIN':
        return this.accept('NOT') ? undefined : start('begin');
      case 'START': return this.accept('TRANSACTION') ? start('begin') : undefined;
      case 'COMMIT': return start('commit');
      case 'ROLLBACK':
        this.accept('WORK');
        if (!this.accept('TO')) return start('rollback');
        this.accept('SAVEPOINT');
        return named('rollback to');
      case 'SAVEPOINT': return named('savepoint');
      case 'RELEASE':
        this.expect('SAVEPOINT');
        return named('release');
      default: return undefined;
    }
  }

  #options(): string[] {
    this.accept('WORK');
    const options: string[] = [];
    while (!this.isAtEnd && !this.is(';')) {
      const { kind, key } = this.next();
      if (kind !== 'word' && key !== ',') this.fail();
      options.push(key);
    }
    return options;
  }
}
