/** Expressions of MySQL, with MySQL's precedence. https://dev.mysql.com/doc/refman/8.4/en/expressions.html */
import { bareCalls, bitOperators, comparisons, intervalUnits, reservedCalls } from './expression-words.ts';
import { castType } from './parse-cast-type.ts';
import type { CallDetails, Expression, OrderItem, Query, WindowSpec } from './mysql-tree.ts';
import { refuse } from './refused-mysql.ts';
import { TokenCursor } from './token-cursor.ts';
import type { MysqlToken } from './read-mysql-tokens.ts';

export abstract class ExpressionParser extends TokenCursor {
  protected abstract query(): Query;

  expression(): Expression {
    return this.deeper(() => this.#or());
  }

  #or(): Expression {
    let left = this.#xor();
    for (;;) {
      const { place } = this;
      if (!this.accept('OR') && (this.mode.sqlMode.has('PIPES_AS_CONCAT') || !this.accept('||'))) return left;
      left = { type: 'binary', operator: 'OR', left, right: this.#xor(), place };
    }
  }

  #xor(): Expression {
    let left = this.#and();
    for (let { place } = this; this.accept('XOR'); place = this.place) left = { type: 'binary', operator: 'XOR', left, right: this.#and(), place };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let { place } = this; this.accept('AND') || this.accept('&&'); place = this.place) left = { type: 'binary', operator: 'AND', left, right: this.#not(), place };
    return left;
  }

  #not(): Expression {
    const { place } = this;
    if (!this.is('NOT')) return this.#comparison();
    if (this.mode.sqlMode.has('HIGH_NOT_PRECEDENCE')) refuse('NOT under HIGH_NOT_PRECEDENCE', place);
    this.next();
    return { type: 'unary', operator: 'NOT', operand: this.deeper(() => this.#not()), place };
  }

  #comparison(): Expression {
    let left = this.#predicate();
    for (;;) {
      const { place } = this;
      if (this.accept('IS')) {
        const not = this.accept('NOT');
        const what = this.acceptOne(['NULL', 'TRUE', 'FALSE', 'UNKNOWN']);
        if (what !== 'NULL' && what !== 'TRUE' && what !== 'FALSE' && what !== 'UNKNOWN') this.fail();
        left = { type: 'is', operand: left, what, not, place };
      } else if (this.isOneOf(comparisons)) left = this.#compared(left, this.next().key, place);
      else return left;
    }
  }

  #compared(left: Expression, written: string, place: number): Expression {
    const operator = written === '!=' ? '<>' : written;
    const quantifier = this.is('ALL', '(') ? 'ALL' : this.is('ANY', '(') || this.is('SOME', '(') ? 'ANY' : undefined;
    if (quantifier === undefined) return { type: 'binary', operator, left, right: this.#predicate(), place };
    this.next();
    return { type: 'quantified', operator, left, quantifier, query: this.inParentheses(() => this.query()), place };
  }

  #predicate(): Expression {
    const operand = this.#bits(0);
    const { place } = this;
    const not = this.is('NOT') && ['IN', 'BETWEEN', 'LIKE', 'REGEXP', 'RLIKE'].includes(this.peek(1).key) && this.accept('NOT');
    if (this.accept('IN')) return { type: 'in', operand, list: this.inParentheses(() => (this.isQueryStart() ? this.query() : this.list(() => this.expression()))), not, place };
    if (this.accept('BETWEEN')) {
      const low = this.#bits(0);
      this.expect('AND');
      return { type: 'between', operand, low, high: this.deeper(() => this.#predicate()), not, place };
    }
    if (this.accept('LIKE')) return { type: 'like', operand, pattern: this.#bits(0), escape: this.accept('ESCAPE') ? this.#bits(0) : undefined, not, place };
    if (this.accept('REGEXP') || this.accept('RLIKE')) return { type: 'regexp', operand, pattern: this.#bits(0), not, place };
    if (this.is('SOUNDS', 'LIKE') || this.is('MEMBER')) refuse(this.is('MEMBER') ? 'MEMBER OF' : 'SOUNDS LIKE', place);
    return operand;
  }

  #bits(least: number): Expression {
    let left = this.#concatenated();
    for (;;) {
      const { place } = this;
      const { key } = this.token;
      const binding = Object.hasOwn(bitOperators, key) ? bitOperators[key] ?? 0 : 0;
      if (binding === 0 || binding <= least) return left;
      this.next();
      if ((key === '+' || key === '-') && this.is('INTERVAL')) {
        left = { type: 'interval', moment: left, ...this.#interval(), sign: key === '+' ? 1 : -1, place };
        continue;
      }
      left = { type: 'binary', operator: key === 'MOD' ? '%' : key, left, right: this.#bits(binding), place };
    }
  }

  /** `INTERVAL amount unit`. */
  #interval(): { readonly amount: Expression; readonly unit: string } {
    this.expect('INTERVAL');
    const amount = this.expression();
    return { amount, unit: this.#unit() };
  }

  #unit(): string {
    const { key } = this.token;
    const unit = key.startsWith('SQL_TSI_') ? key.slice(8) : key;
    if (!intervalUnits.has(unit)) this.fail();
    this.next();
    return unit;
  }

  #unary(): Expression {
    const { place } = this;
    if (this.is('INTERVAL') && this.peek(1).key !== '(') {
      const { amount, unit } = this.#interval();
      this.expect('+');
      return { type: 'interval', moment: this.#bits(4), amount, unit, sign: 1, place };
    }
    const operator = this.acceptOne(['-', '+', '~', '!', 'BINARY']);
    if (operator === undefined) return this.#collated();
    const operand = this.deeper(() => this.#unary());
    if (operator === '!') return { type: 'unary', operator: 'NOT', operand, place };
    return operator === '-' || operator === '+' || operator === '~' || operator === 'BINARY' ? { type: 'unary', operator, operand, place } : this.fail();
  }

  /** Behind a sign: `-a || b` is the string of `-a` and b. */
  #concatenated(): Expression {
    let left = this.#unary();
    for (let { place } = this; this.mode.sqlMode.has('PIPES_AS_CONCAT') && this.accept('||'); place = this.place) left = { type: 'call', name: 'CONCAT', args: [left, this.#unary()], place };
    return left;
  }

  #collated(): Expression {
    let operand = this.#primary();
    for (let { place } = this; this.accept('COLLATE'); place = this.place) operand = { type: 'collate', operand, collation: this.next().text.toLowerCase(), place };
    return operand;
  }

  #primary(): Expression {
    const { token } = this;
    const place = token.start;
    switch (token.kind) {
      case 'string': return this.#string(undefined, place);
      case 'introducer': {
        this.next();
        if (this.token.kind === 'string') return this.#string(token.text, place);
        const { kind, text } = this.next();
        return kind === 'hex' || kind === 'bit' ? { type: 'literal', kind, value: text, charset: token.text, place } : this.fail();
      }
      case 'integer': case 'decimal': case 'float': case 'hex': case 'bit':
        this.next();
        return { type: 'literal', kind: token.kind, value: token.text, place };
      case 'parameter': return { type: 'parameter', number: this.nextParameter(), place };
      case 'user variable': case 'system variable':
        this.next();
        if (this.is(':=')) refuse('assignment to a user variable', place);
        return { type: 'variable', scope: token.kind === 'user variable' ? 'user' : 'system', name: token.text, place };
      case 'sign': return token.key === '(' ? this.#parenthesised(place) : token.key === '{' ? this.#escaped() : this.fail();
      case 'name': case 'word': return this.#word(token);
      case 'end': return this.fail();
    }
  }

  /** Strings that follow each other are one. */
  #string(charset: string | undefined, place: number): Expression {
    let value = '';
    while (this.token.kind === 'string') value += this.next().text;
    return { type: 'literal', kind: 'string', value, charset, place };
  }

  /** `{ts '…'}` of ODBC. */
  #escaped(): Expression {
    this.next();
    const kind = { D: 'DATE', T: 'TIME', TS: 'TIMESTAMP' }[this.next().key];
    const { kind: what, text, start: place } = this.next();
    if (what !== 'string' || (kind !== 'DATE' && kind !== 'TIME' && kind !== 'TIMESTAMP')) return this.fail();
    this.expect('}');
    return { type: 'moment', kind, value: text, place };
  }

  protected isQueryStart(): boolean {
    let ahead = 0;
    while (this.peek(ahead).key === '(') ahead += 1;
    return ['SELECT', 'WITH'].includes(this.peek(ahead).key) || (ahead === 0 && this.is('VALUES', 'ROW'));
  }

  #parenthesised(place: number): Expression {
    if (this.isQueryStart() && this.#isSubquery()) return { type: 'subquery', query: this.inParentheses(() => this.query()), place };
    const items = this.inParentheses(() => this.list(() => this.expression()));
    const [first] = items;
    return first !== undefined && items.length === 1 ? first : { type: 'row', items, place };
  }

  /** `((SELECT 1) + 2)` is no query: what follows the inner parenthesis tells. */
  #isSubquery(): boolean {
    return this.peek(1).key !== '(' || [')', 'UNION', 'EXCEPT', 'INTERSECT', 'ORDER', 'LIMIT'].includes(this.keyBehindParenthesis(1));
  }

  #word(token: MysqlToken): Expression {
    const place = token.start;
    if (token.kind === 'word') {
      const known = this.#keyword(token.key, place);
      if (known !== undefined) return known;
      if (this.peek(1).key === '(' && (reservedCalls.has(token.key) || this.isName)) {
        this.next();
        return this.#call(token.key, place);
      }
      if (bareCalls.has(token.key)) {
        this.next();
        return { type: 'call', name: token.key, args: [], place };
      }
    }
    return this.#column(place);
  }

  #keyword(key: string, place: number): Expression | undefined {
    switch (key) {
      case 'NULL': case 'TRUE': case 'FALSE':
        this.next();
        return { type: 'literal', kind: key === 'NULL' ? 'null' : key === 'TRUE' ? 'true' : 'false', value: key, place };
      case 'CASE': return this.#case(place);
      case 'EXISTS':
        this.next();
        return { type: 'exists', query: this.inParentheses(() => this.query()), place };
      case 'CAST': case 'CONVERT': return this.peek(1).key === '(' ? this.#cast(key, place) : undefined;
      case 'ROW':
        if (this.peek(1).key !== '(') return undefined;
        this.next();
        return { type: 'row', items: this.inParentheses(() => this.list(() => this.expression())), place };
      case 'DEFAULT':
        this.next();
        return { type: 'default', column: this.is('(') ? this.inParentheses(() => this.name()) : undefined, place };
      case 'VALUES': case 'VALUE':
        if (this.peek(1).key !== '(') return undefined;
        this.next();
        return { type: 'inserted', column: this.inParentheses(() => this.#lastName()), place };
      case 'DATE': case 'TIME': case 'TIMESTAMP': {
        if (this.peek(1).kind !== 'string') return undefined;
        this.next();
        return { type: 'moment', kind: key, value: this.next().text, place };
      }
      case 'MATCH': return refuse('MATCH … AGAINST', place);
      case 'INTERVAL': return refuse('INTERVAL()', place);
      default: return undefined;
    }
  }

  #lastName(): string {
    let name = this.name();
    while (this.accept('.')) name = this.nameBehindPoint();
    return name;
  }

  #case(place: number): Expression {
    this.next();
    const operand = this.is('WHEN') ? undefined : this.expression();
    const branches: { when: Expression; then: Expression }[] = [];
    while (this.accept('WHEN')) {
      const when = this.expression();
      this.expect('THEN');
      branches.push({ when, then: this.expression() });
    }
    const otherwise = this.accept('ELSE') ? this.expression() : undefined;
    this.expect('END');
    return branches.length === 0 ? this.fail() : { type: 'case', operand, branches, otherwise, place };
  }

  #cast(key: string, place: number): Expression {
    this.next();
    return this.inParentheses((): Expression => {
      const operand = this.expression();
      if (key === 'CONVERT' && this.accept('USING')) return { type: 'using', operand, charset: this.next().text.toLowerCase(), place };
      this.expect(key === 'CAST' ? 'AS' : ',');
      return { type: 'cast', operand, to: castType(this), place };
    });
  }

  #column(place: number): Expression {
    const parts = [this.name()];
    while (parts.length < 3 && this.is('.')) {
      this.next();
      if (this.accept('*')) return { type: 'star', table: parts.at(-1), database: parts.at(-2), place };
      parts.push(this.nameBehindPoint());
    }
    if (this.is('(') && parts.length > 1) return this.#call(parts.at(-1) ?? '', place, { database: parts.at(-2) });
    const column: Expression = { type: 'column', name: parts.at(-1) ?? '', table: parts.at(-2), database: parts.at(-3), place };
    const arrow = this.acceptOne(['->', '->>']);
    if (arrow === undefined) return column;
    const { place: at } = this;
    if (this.token.kind !== 'string') this.fail();
    const extracted: Expression = { type: 'call', name: 'JSON_EXTRACT', args: [column, { type: 'literal', kind: 'string', value: this.next().text, place: at }], place };
    return arrow === '->' ? extracted : { type: 'call', name: 'JSON_UNQUOTE', args: [extracted], place };
  }

  #call(name: string, place: number, details?: CallDetails): Expression {
    const call = this.inParentheses(() => this.#arguments(name, place));
    const over = this.accept('OVER') ? this.#over() : undefined;
    if (call.type !== 'call' || (over === undefined && details === undefined)) return call;
    return { ...call, details: { ...call.details, ...details, over } };
  }

  #arguments(name: string, place: number): Expression {
    const call = (args: readonly Expression[], details?: CallDetails): Expression => ({ type: 'call', name, args, place, details });
    if (this.is(')')) return call([]);
    switch (name) {
      case 'COUNT':
        if (this.is('*')) {
          const star: Expression = { type: 'star', place: this.next().start };
          return call([star]);
        }
        break;
      case 'EXTRACT': {
        const word = this.#unit();
        this.expect('FROM');
        return call([this.expression()], { word });
      }
      case 'TIMESTAMPDIFF': case 'TIMESTAMPADD': {
        const word = this.#unit();
        this.expect(',');
        const [first, second] = this.list(() => this.expression());
        if (first === undefined || second === undefined) return this.fail();
        return name === 'TIMESTAMPADD' ? { type: 'interval', moment: second, amount: first, unit: word, sign: 1, place } : call([first, second], { word });
      }
      case 'TRIM': return this.#trim(call);
      case 'POSITION': {
        const needle = this.#bits(0);
        this.expect('IN');
        return { type: 'call', name: 'LOCATE', args: [needle, this.expression()], place };
      }
      case 'DATE_ADD': case 'DATE_SUB': case 'ADDDATE': case 'SUBDATE': {
        const moment = this.expression();
        this.expect(',');
        const sign = name.endsWith('ADD') || name === 'ADDDATE' ? 1 : -1;
        return this.is('INTERVAL') ? { type: 'interval', moment, ...this.#interval(), sign, place } : { type: 'interval', moment, amount: this.expression(), unit: 'DAY', sign, place };
      }
      case 'GROUP_CONCAT': return this.#groupConcat(call);
      default:
    }
    const distinct = this.accept('DISTINCT');
    if (!distinct && this.is('ALL')) this.next();
    const args = this.list(() => this.expression());
    if ((name === 'SUBSTRING' || name === 'SUBSTR' || name === 'MID') && this.accept('FROM')) {
      args.push(this.expression());
      if (this.accept('FOR')) args.push(this.expression());
    }
    if (name === 'CHAR' && this.is('USING')) refuse('CHAR() with USING', place);
    return call(args, distinct ? { distinct } : undefined);
  }

  #trim(call: (args: readonly Expression[], details?: CallDetails) => Expression): Expression {
    const side = this.acceptOne(['BOTH', 'LEADING', 'TRAILING']);
    const first = side !== undefined && this.is('FROM') ? undefined : this.expression();
    if (!this.accept('FROM')) return first === undefined || side !== undefined ? this.fail() : call([first]);
    const text = this.expression();
    return call(first === undefined ? [text] : [text, first], { word: side ?? 'BOTH' });
  }

  #groupConcat(call: (args: readonly Expression[], details?: CallDetails) => Expression): Expression {
    const distinct = this.accept('DISTINCT');
    const args = this.list(() => this.expression());
    const order = this.accept('ORDER', 'BY') ? this.orderItems() : undefined;
    if (this.is('LIMIT')) refuse('LIMIT of GROUP_CONCAT()', this.place);
    const separator = this.accept('SEPARATOR') ? (this.token.kind === 'string' ? this.next().text : this.fail()) : undefined;
    return call(args, { distinct, order, separator });
  }

  orderItems(): OrderItem[] {
    return this.list(() => {
      const expression = this.expression();
      const descending = this.accept('DESC');
      if (!descending) this.accept('ASC');
      return { expression, descending };
    });
  }

  #over(): WindowSpec {
    if (this.is('(')) return this.inParentheses(() => this.windowSpec());
    return { name: this.name(), partition: [], order: [], frame: undefined };
  }

  protected windowSpec(): WindowSpec {
    const name = this.isName && !['PARTITION', 'ROWS', 'RANGE', 'GROUPS'].includes(this.token.key) ? this.next().text : undefined;
    const partition = this.accept('PARTITION', 'BY') ? this.list(() => this.expression()) : [];
    const order = this.accept('ORDER', 'BY') ? this.orderItems() : [];
    const start = this.place;
    const words = new Set(['ROWS', 'RANGE', 'BETWEEN', 'AND', 'UNBOUNDED', 'PRECEDING', 'FOLLOWING', 'CURRENT', 'ROW']);
    let frame = '';
    while (!this.is(')')) {
      const { kind, key, text } = this.next();
      if (!words.has(key) && !(kind === 'integer' && frame.startsWith('ROWS'))) refuse('window frame', start);
      frame += `${frame === '' ? '' : ' '}${key === '' ? text : key}`;
    }
    return { name, partition, order, frame: frame === '' ? undefined : frame };
  }
}
