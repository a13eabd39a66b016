/** The parts of CQL that statements are made of, for the mock cluster: names, terms, relations. */
import type { CqlToken } from '../../../grammar/cql/tokens.ts';
import type { Relation, TableRef, Term } from './ast.ts';
import { syntax } from './cql-error.ts';

export class TermParser {
  protected readonly text: string;
  protected readonly tokens: readonly CqlToken[];
  protected at = 0;

  constructor(text: string, tokens: readonly CqlToken[]) {
    this.text = text;
    this.tokens = tokens;
  }

  get isEnd(): boolean {
    return this.at >= this.tokens.length;
  }

  stuck(): Error {
    const token = this.tokens[this.at];
    return syntax(`line 1:${token?.start ?? this.text.length} no viable alternative at input '${token ? this.text.slice(token.start, token.end) : '<EOF>'}'`);
  }

  /** Passes over these words or symbols if all of them stand here. */
  take(...wanted: readonly string[]): boolean {
    const isHere = wanted.every((word, index) => {
      const token = this.tokens[this.at + index];
      return (token?.kind === 'word' || token?.kind === 'symbol') && token.text === word;
    });
    if (isHere) this.at += wanted.length;
    return isHere;
  }

  protected need(...wanted: readonly string[]): void {
    if (!this.take(...wanted)) throw this.stuck();
  }

  protected peek(ahead = 0): CqlToken | undefined {
    return this.tokens[this.at + ahead];
  }

  protected is(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return (token?.kind === 'symbol' || token?.kind === 'word') && token.text === symbol;
  }

  protected next(): CqlToken {
    const token = this.peek();
    if (token === undefined || token.kind === 'bad') throw this.stuck();
    this.at += 1;
    return token;
  }

  protected name(): string {
    const token = this.peek();
    if (token?.kind !== 'word' && token?.kind !== 'quoted') throw this.stuck();
    this.at += 1;
    return token.text;
  }

  protected table(): TableRef {
    const first = this.name();
    return this.take('.') ? { keyspace: first, name: this.name() } : { keyspace: undefined, name: first };
  }

  protected list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.take(close)) return items;
    do items.push(item()); while (this.take(','));
    this.need(close);
    return items;
  }

  // Terms

  protected term(): Term {
    const token = this.next();
    switch (token.kind) {
      case 'bind': return { is: 'bind', index: token.bind, name: token.text };
      case 'string': case 'number': case 'uuid': case 'blob': case 'duration': return { is: 'constant', form: token.kind, text: token.text };
      case 'word': case 'quoted': return this.named(token);
      case 'symbol': break;
      case 'bad': throw this.stuck();
    }
    switch (token.text) {
      case '-': {
        const inner = this.term();
        if (inner.is !== 'constant') throw this.stuck();
        return { ...inner, text: `-${inner.text}` };
      }
      case '[': return { is: 'list', items: this.list(']', () => this.term()) };
      case '(': return this.tupleOrCast();
      case '{': return { is: 'braces', entries: this.list('}', () => this.entry()) };
      default: {
        this.at -= 1;
        throw this.stuck();
      }
    }
  }

  /** `(int) 5` is 5: the mock knows the type from where the value goes. */
  protected tupleOrCast(): Term {
    const word = this.peek();
    if (word?.kind === 'word' && !['true', 'false', 'null', 'nan', 'infinity'].includes(word.text) && (this.is(')', 1) || this.is('<', 1))) {
      this.type();
      this.need(')');
      return this.term();
    }
    return { is: 'tuple', items: this.list(')', () => this.term()) };
  }

  protected entry(): { readonly name?: string; readonly key?: Term; readonly value?: Term } {
    const token = this.peek();
    if ((token?.kind === 'word' || token?.kind === 'quoted') && this.is(':', 1)) {
      this.at += 2;
      return { name: token.text, value: this.term() };
    }
    const key = this.term();
    return this.take(':') ? { key, value: this.term() } : { key };
  }

  protected named(token: CqlToken): Term {
    if (this.take('(')) {
      if (this.take('*', ')')) return { is: 'call', name: token.text, args: [] };
      return { is: 'call', name: token.text, args: this.list(')', () => this.term()) };
    }
    if (token.kind === 'word') {
      if (token.text === 'true' || token.text === 'false') return { is: 'constant', form: 'boolean', text: token.text };
      if (token.text === 'null') return { is: 'constant', form: 'null', text: '' };
      if (token.text === 'nan' || token.text === 'infinity') return { is: 'constant', form: 'number', text: token.text };
    }
    return { is: 'column', name: token.text };
  }

  // Relations

  protected relations(): Relation[] {
    const found: Relation[] = [];
    do found.push(this.relation()); while (this.take('and'));
    return found;
  }

  protected relation(): Relation {
    if (this.is('token') && this.is('(', 1)) {
      this.at += 2;
      return this.compared({ columns: this.list(')', () => this.name()), isToken: true });
    }
    if (this.take('(')) return this.compared({ columns: this.list(')', () => this.name()), isToken: false });
    const column = this.name();
    if (!this.take('[')) return this.compared({ columns: [column], isToken: false });
    const element = this.term();
    this.need(']');
    return this.compared({ columns: [column], isToken: false, element });
  }

  protected compared(subject: { readonly columns: readonly string[]; readonly isToken: boolean; readonly element?: Term }): Relation {
    for (const operator of ['=', '!=', '<', '<=', '>', '>=']) if (this.take(operator)) return { ...subject, operator, terms: [this.term()], isWholeList: false };
    if (this.take('contains', 'key')) return { ...subject, operator: 'contains key', terms: [this.term()], isWholeList: false };
    if (this.take('contains')) return { ...subject, operator: 'contains', terms: [this.term()], isWholeList: false };
    this.need('in');
    if (this.take('(')) return { ...subject, operator: 'in', terms: this.list(')', () => this.term()), isWholeList: false };
    return { ...subject, operator: 'in', terms: [this.term()], isWholeList: true };
  }

  // Types

  protected type(): string {
    const start = this.peek()?.start ?? 0;
    let depth = 0;
    while (!this.isEnd) {
      if (depth === 0 && (this.is(',') || this.is(')') || this.is('>') || this.is('primary') || this.is('static'))) break;
      if (this.is('<')) depth += 1;
      if (this.is('>')) depth -= 1;
      if (depth === 0 && this.is(';')) break;
      this.next();
    }
    return this.text.slice(start, this.tokens[this.at - 1]?.end ?? start);
  }
}
