/** SELECT and what is made of several. https://dev.mysql.com/doc/refman/8.4/en/select.html */
import { ExpressionParser } from './parse-expression.ts';
import type { CommonTable, Expression, Limit, Locking, Query, QueryBody, Select, SelectItem, TableReference } from './mysql-tree.ts';
import { refuse } from './refused-mysql.ts';

/** Words of SELECT that say how, not what. */
const hints = ['HIGH_PRIORITY', 'STRAIGHT_JOIN', 'SQL_SMALL_RESULT', 'SQL_BIG_RESULT', 'SQL_BUFFER_RESULT', 'SQL_NO_CACHE', 'SQL_CACHE'];

export abstract class QueryParser extends ExpressionParser {
  query(): Query {
    return this.deeper(() => this.#query());
  }

  #query(): Query {
    const { place } = this;
    const { tables, recursive } = this.withClause();
    const body = this.#union();
    return { with: tables, recursive, body, ...this.#tail(), place };
  }

  protected withClause(): { readonly tables: readonly CommonTable[]; readonly recursive: boolean } {
    if (!this.accept('WITH')) return { tables: [], recursive: false };
    const recursive = this.accept('RECURSIVE');
    const tables = this.list((): CommonTable => {
      const { place } = this;
      const name = this.name();
      const columns = this.is('(') ? this.inParentheses(() => this.list(() => this.name())) : [];
      this.expect('AS');
      return { name, columns, query: this.inParentheses(() => this.query()), place };
    });
    return { tables, recursive };
  }

  #tail(): Pick<Query, 'order' | 'limit' | 'lock'> {
    const order = this.accept('ORDER', 'BY') ? this.orderItems() : [];
    const limit = this.limit();
    if (this.is('PROCEDURE')) refuse('PROCEDURE', this.place);
    if (this.is('INTO')) refuse('SELECT … INTO', this.place);
    const lock = this.#lock();
    if (this.is('INTO')) refuse('SELECT … INTO', this.place);
    return { order, limit, lock };
  }

  protected limit(): Limit | undefined {
    if (!this.accept('LIMIT')) return undefined;
    const first = this.#limitNumber();
    if (this.accept('OFFSET')) return { count: first, offset: this.#limitNumber() };
    return this.accept(',') ? { count: this.#limitNumber(), offset: first } : { count: first, offset: undefined };
  }

  #limitNumber(): Expression {
    const { kind, start: place } = this.token;
    if (kind === 'parameter') return { type: 'parameter', number: this.nextParameter(), place };
    return kind === 'integer' ? { type: 'literal', kind, value: this.next().text, place } : this.fail();
  }

  #lock(): Locking | undefined {
    if (this.accept('LOCK', 'IN', 'SHARE', 'MODE')) return { strength: 'SHARE', of: [], wait: undefined };
    if (!this.is('FOR')) return undefined;
    this.next();
    const strength = this.acceptOne(['UPDATE', 'SHARE']);
    if (strength !== 'UPDATE' && strength !== 'SHARE') return this.fail();
    const of = this.accept('OF') ? this.list(() => this.name()) : [];
    const wait = this.accept('NOWAIT') ? 'NOWAIT' : this.accept('SKIP', 'LOCKED') ? 'SKIP LOCKED' : undefined;
    if (this.is('WAIT')) refuse('WAIT', this.place);
    if (this.is('FOR')) refuse('several locking clauses', this.place);
    return { strength, of, wait };
  }

  #union(): QueryBody {
    let left = this.#intersect();
    for (;;) {
      const { place } = this;
      const operator = this.acceptOne(['UNION', 'EXCEPT']);
      if (operator !== 'UNION' && operator !== 'EXCEPT') return left;
      left = { type: 'union', operator, all: this.#isAll(), left, right: this.#intersect(), place };
    }
  }

  #intersect(): QueryBody {
    let left = this.#operand();
    for (let { place } = this; this.accept('INTERSECT'); place = this.place) left = { type: 'union', operator: 'INTERSECT', all: this.#isAll(), left, right: this.#operand(), place };
    return left;
  }

  #isAll(): boolean {
    const all = this.accept('ALL');
    if (!all) this.accept('DISTINCT');
    return all;
  }

  #operand(): QueryBody {
    const { place } = this;
    if (this.is('(')) return { type: 'nested', query: this.inParentheses(() => this.query()), place };
    if (this.accept('VALUES')) return { type: 'rows', rows: this.list(() => this.#row()), place };
    return this.#select();
  }

  #row(): readonly Expression[] {
    this.accept('ROW');
    return this.inParentheses(() => this.list(() => this.expression()));
  }

  #select(): Select {
    const { place } = this;
    this.expect('SELECT');
    let distinct = false;
    let calcFoundRows = false;
    for (;;) {
      const word = this.acceptOne(['ALL', 'DISTINCT', 'DISTINCTROW', 'SQL_CALC_FOUND_ROWS', ...hints]);
      if (word === undefined) break;
      if (word.startsWith('DISTINCT')) distinct = true;
      if (word === 'SQL_CALC_FOUND_ROWS') calcFoundRows = true;
    }
    const items = this.selectItems();
    if (this.is('INTO')) refuse('SELECT … INTO', this.place);
    const from = this.accept('FROM') ? (this.accept('DUAL') ? undefined : this.tableReferences()) : undefined;
    const where = this.accept('WHERE') ? this.expression() : undefined;
    const groupBy = this.accept('GROUP', 'BY') ? this.orderItems() : [];
    const rollup = this.accept('WITH', 'ROLLUP');
    const having = this.accept('HAVING') ? this.expression() : undefined;
    const windows = this.accept('WINDOW') ? this.list(() => {
      const name = this.name();
      this.expect('AS');
      return { name, spec: this.inParentheses(() => this.windowSpec()) };
    }) : [];
    return { type: 'select', distinct, calcFoundRows, items, from, where, groupBy, rollup, having, windows, place };
  }

  selectItems(): readonly SelectItem[] {
    return this.list(() => this.#item());
  }

  #item(): SelectItem {
    const { place } = this;
    if (this.accept('*')) return { expression: { type: 'star', place }, alias: undefined, text: '*' };
    const expression = this.expression();
    const text = this.text.slice(place, this.lastEnd);
    return { expression, alias: this.#alias(), text };
  }

  #alias(): string | undefined {
    if (this.accept('AS')) return this.token.kind === 'string' || this.isName ? this.next().text : this.fail();
    return this.token.kind === 'string' || this.isName ? this.next().text : undefined;
  }

  /** A list with commas binds less tightly than JOIN. */
  tableReferences(): TableReference {
    let left = this.#joined();
    for (let { place } = this; this.accept(','); place = this.place) left = { type: 'join', kind: 'inner', natural: false, left, right: this.#joined(), on: undefined, using: [], place };
    return left;
  }

  #joined(): TableReference {
    let left = this.#factor();
    for (;;) {
      const { place } = this;
      const join = this.#joinWords();
      if (join === undefined) return left;
      let right = this.#factor();
      // `a LEFT JOIN b JOIN c ON … ON …`: an outer join waits for its own condition.
      if (join.kind !== 'inner' && !join.natural) while (!this.is('ON') && !this.is('USING')) right = this.#joinOnto(right);
      left = this.#joinWith(left, right, join, place);
    }
  }

  #joinOnto(left: TableReference): TableReference {
    const { place } = this;
    const join = this.#joinWords() ?? this.fail();
    return this.#joinWith(left, this.#factor(), join, place);
  }

  #joinWith(left: TableReference, right: TableReference, join: { readonly kind: 'inner' | 'left' | 'right'; readonly natural: boolean }, place: number): TableReference {
    const on = !join.natural && this.accept('ON') ? this.expression() : undefined;
    const using = !join.natural && on === undefined && this.accept('USING') ? this.inParentheses(() => this.list(() => this.name())) : [];
    if (join.kind !== 'inner' && !join.natural && on === undefined && using.length === 0) this.fail();
    return { type: 'join', ...join, left, right, on, using, place };
  }

  #joinWords(): { readonly kind: 'inner' | 'left' | 'right'; readonly natural: boolean } | undefined {
    if (this.accept('STRAIGHT_JOIN') || this.accept('JOIN') || this.accept('INNER', 'JOIN') || this.accept('CROSS', 'JOIN')) return { kind: 'inner', natural: false };
    const natural = this.accept('NATURAL');
    const side = this.acceptOne(natural ? ['LEFT', 'RIGHT', 'INNER'] : ['LEFT', 'RIGHT']);
    if (side === undefined && !natural) return undefined;
    if (side === 'LEFT' || side === 'RIGHT') this.accept('OUTER');
    this.expect('JOIN');
    return { kind: side === 'LEFT' ? 'left' : side === 'RIGHT' ? 'right' : 'inner', natural };
  }

  #factor(): TableReference {
    const { place } = this;
    const lateral = this.accept('LATERAL');
    if (this.is('(')) {
      if (!this.isQueryStart()) return this.inParentheses(() => this.tableReferences());
      // `((SELECT …) AS a JOIN b)` is a join in parentheses, `((SELECT …)) AS a` a table.
      if (this.peek(1).key === '(' && this.#isNestedJoin()) return this.inParentheses(() => this.tableReferences());
      const query = this.inParentheses(() => this.query());
      this.accept('AS');
      const alias = this.name();
      return { type: 'derived', query, alias, columns: this.is('(') ? this.inParentheses(() => this.list(() => this.name())) : [], lateral, place };
    }
    if (this.is('JSON_TABLE')) refuse('JSON_TABLE()', place);
    const table = this.targetTable();
    this.#indexHints();
    return { type: 'table', ...table };
  }

  #isNestedJoin(): boolean {
    return !['UNION', 'EXCEPT', 'INTERSECT', 'ORDER', 'LIMIT', ')'].includes(this.keyBehindParenthesis(1));
  }

  protected tableName(): { readonly database: string | undefined; readonly name: string; readonly place: number } {
    const { place } = this;
    const first = this.name();
    if (!this.accept('.')) return { database: undefined, name: first, place };
    return { database: first, name: this.nameBehindPoint(), place };
  }

  protected targetTable(): { readonly database: string | undefined; readonly name: string; readonly alias: string | undefined; readonly place: number } {
    const table = this.tableName();
    if (this.is('PARTITION', '(')) refuse('PARTITION', this.place);
    if (this.is('FOR', 'SYSTEM_TIME')) refuse('FOR SYSTEM_TIME', this.place);
    const alias = this.accept('AS') ? this.name() : this.isName && !this.#isStatementWord() ? this.next().text : undefined;
    return { ...table, alias };
  }

  /** Words that are not reserved and yet follow a table. */
  #isStatementWord(): boolean {
    return this.is('VALUE') || this.is('SKIP') || this.is('PARTITION') || this.is('OFFSET');
  }

  #indexHints(): void {
    while (this.acceptOne(['USE', 'FORCE', 'IGNORE']) !== undefined) {
      if (this.acceptOne(['INDEX', 'KEY']) === undefined) this.fail();
      if (this.accept('FOR') && !this.accept('JOIN') && !this.accept('ORDER', 'BY') && !this.accept('GROUP', 'BY')) this.fail();
      this.inParentheses(() => (this.is(')') ? [] : this.list(() => this.next())));
    }
  }
}
