/** Reads CQL for the mock cluster. It shares the lexer with the product and nothing else, so that what the product takes a statement for is checked by what happens. */
import { cqlTokens } from '../../../grammar/cql/tokens.ts';
import type { Assignment, ColumnDefinition, Modification, Relation, Select, Selector, Statement, Term } from './ast.ts';
import { syntax } from './cql-error.ts';
import { TermParser } from './parse-terms.ts';

export interface Parsed { readonly statement: Statement; readonly bindNames: readonly string[]; readonly text: string }

export function parse(text: string): Parsed {
  const tokens = cqlTokens(text);
  const parser = new Parser(text, tokens);
  const statement = parser.statement();
  while (parser.take(';')) continue;
  if (!parser.isEnd) throw parser.stuck();
  return { statement, bindNames: tokens.flatMap(({ kind, text: name }) => (kind === 'bind' ? [name] : [])), text };
}

class Parser extends TermParser {
  statement(): Statement {
    if (this.take('select')) return this.#select();
    if (this.take('begin')) return this.#batch();
    if (this.take('use')) return { is: 'use', keyspace: this.name() };
    if (this.take('truncate')) {
      this.take('table');
      return { is: 'truncate', table: this.table() };
    }
    if (this.take('create')) return this.#create();
    if (this.take('alter')) return this.#alter();
    if (this.take('drop')) return this.#drop();
    return this.#modification();
  }

  #modification(): Modification {
    if (this.take('insert')) return this.#insert();
    if (this.take('update')) return this.#update();
    if (this.take('delete')) return this.#delete();
    throw this.stuck();
  }

  // Statements on rows

  #select(): Select {
    const isDistinct = this.is('distinct') && !this.is('from', 1) && this.take('distinct');
    const selectors: Selector[] = [];
    if (!this.take('*')) do selectors.push(this.#selector()); while (this.take(','));
    this.need('from');
    const table = this.table();
    const where = this.take('where') ? this.relations() : [];
    const orderBy: { column: string; isDescending: boolean }[] = [];
    if (this.take('order', 'by')) {
      do {
        const column = this.name();
        orderBy.push({ column, isDescending: this.take('desc') });
        this.take('asc');
      } while (this.take(','));
    }
    const perPartition = this.take('per', 'partition', 'limit') ? this.term() : undefined;
    const limit = this.take('limit') ? this.term() : undefined;
    const isFilteringAllowed = this.take('allow', 'filtering');
    this.take('bypass', 'cache');
    return { is: 'select', table, isDistinct, selectors, where, orderBy, isFilteringAllowed, ...(limit && { limit }), ...(perPartition && { perPartition }) };
  }

  #selector(): Selector {
    const start = this.peek()?.start ?? 0;
    const isCount = (this.take('count', '(', '*', ')') ? true : this.is('count') && this.is('(', 1) && this.peek(2)?.kind === 'number' && this.is(')', 3));
    if (isCount && this.is('count')) this.at += 4;
    const term: Term = isCount ? { is: 'call', name: 'count', args: [] } : this.term();
    const text = isCount ? 'count' : this.text.slice(start, this.tokens[this.at - 1]?.end ?? start).replace(/\s+/g, '').replaceAll(',', ', ').toLowerCase();
    return { term, alias: this.take('as') ? this.name() : undefined, text: term.is === 'column' ? term.name : text };
  }

  #insert(): Modification {
    this.need('into');
    const table = this.table();
    this.need('(');
    const columns = this.list(')', () => this.name());
    this.need('values', '(');
    const terms = this.list(')', () => this.term());
    if (terms.length !== columns.length) throw syntax('Unmatched column names/values');
    const condition = this.take('if', 'not', 'exists') ? 'not exists' as const : 'none' as const;
    return { is: 'insert', table, columns, terms, assignments: [], where: [], ...this.#using(), condition, ifs: [] };
  }

  #update(): Modification {
    const table = this.table();
    const using = this.#using();
    this.need('set');
    const assignments: Assignment[] = [];
    do assignments.push(this.#assignment()); while (this.take(','));
    this.need('where');
    const where = this.relations();
    return { is: 'update', table, columns: [], terms: [], assignments, where, ...using, ...this.#conditions() };
  }

  #delete(): Modification {
    const assignments: Assignment[] = [];
    if (!this.is('from')) {
      do {
        const column = this.name();
        if (this.take('[')) {
          const key = this.term();
          this.need(']');
          assignments.push({ column, operation: 'delete', key });
        } else if (this.take('.')) assignments.push({ column, operation: 'delete', field: this.name() });
        else assignments.push({ column, operation: 'delete' });
      } while (this.take(','));
    }
    this.need('from');
    const table = this.table();
    const using = this.#using();
    this.need('where');
    const where = this.relations();
    return { is: 'delete', table, columns: [], terms: [], assignments, where, ...using, ...this.#conditions() };
  }

  #conditions(): { readonly condition: Modification['condition']; readonly ifs: readonly Relation[] } {
    if (!this.take('if')) return { condition: 'none', ifs: [] };
    if (this.take('exists')) return { condition: 'exists', ifs: [] };
    return { condition: 'columns', ifs: this.relations() };
  }

  #using(): { timestamp?: Term; ttl?: Term } {
    const found: { timestamp?: Term; ttl?: Term } = {};
    if (!this.take('using')) return found;
    do {
      if (this.take('timestamp')) found.timestamp = this.term();
      else if (this.take('ttl')) found.ttl = this.term();
      else throw this.stuck();
    } while (this.take('and'));
    return found;
  }

  #assignment(): Assignment {
    const column = this.name();
    if (this.take('[')) {
      const key = this.term();
      this.need(']', '=');
      return { column, operation: 'element', key, term: this.term() };
    }
    if (this.take('.')) {
      const field = this.name();
      this.need('=');
      return { column, operation: 'field', field, term: this.term() };
    }
    if (this.take('+=')) return { column, operation: 'add', term: this.term() };
    if (this.take('-=')) return { column, operation: 'subtract', term: this.term() };
    this.need('=');
    const first = this.term();
    const isPlus = this.is('+');
    if (!isPlus && !this.is('-')) {
      if (first.is === 'column') throw this.stuck();
      return { column, operation: 'set', term: first };
    }
    this.at += 1;
    const second = this.term();
    if (first.is === 'column' && first.name === column) return { column, operation: isPlus ? 'add' : 'subtract', term: second };
    if (isPlus && second.is === 'column' && second.name === column) return { column, operation: 'prepend', term: first };
    throw syntax('Only expressions of the form X = X + <value> are supported.');
  }

  #batch(): Statement {
    const type = this.take('unlogged') ? 'unlogged' as const : this.take('counter') ? 'counter' as const : 'logged' as const;
    this.need('batch');
    const { timestamp } = this.#using();
    const children: Modification[] = [];
    while (!this.take('apply', 'batch')) if (!this.take(';')) children.push(this.#modification());
    return { is: 'batch', type, children, ...(timestamp && { timestamp }) };
  }

  // Schema

  #soft(...words: readonly string[]): boolean {
    return this.take('if', ...words);
  }

  #create(): Statement {
    if (this.take('keyspace')) return this.#keyspace(false);
    if (this.take('table') || this.take('columnfamily')) return this.#createTable();
    if (this.take('type')) {
      const isSoft = this.#soft('not', 'exists');
      const table = this.table();
      this.need('(');
      return { is: 'create type', table, isSoft, fields: this.list(')', () => ({ name: this.name(), type: this.type(), isStatic: false })) };
    }
    const isCustom = this.take('custom');
    this.need('index');
    const isSoft = this.#soft('not', 'exists');
    const name = this.is('on') ? undefined : this.name();
    this.need('on');
    const table = this.table();
    this.need('(');
    const start = this.peek()?.start ?? 0;
    for (let depth = 0; depth > 0 || !this.is(')');) {
      if (this.is('(')) depth += 1;
      if (this.is(')')) depth -= 1;
      this.next();
    }
    const target = this.text.slice(start, this.peek()?.start ?? start).trim();
    this.need(')');
    const className = this.take('using') ? this.next().text : undefined;
    if (this.take('with')) this.#options();
    if (isCustom && className === undefined) throw syntax('CUSTOM index requires specifying the index class');
    return { is: 'create index', table, name, isSoft, target, className };
  }

  #keyspace(isAltered: boolean): Statement {
    const isSoft = this.#soft('not', 'exists');
    const name = this.name();
    this.need('with');
    const options = this.#options();
    const replication = new Map([...(options.get('replication') ?? '').matchAll(/'([^']*)'\s*:\s*'?([^',}]*)'?/g)].map(([, key = '', value = '']) => [key, value.trim()] as const));
    return { is: 'create keyspace', name, isSoft, replication, isAltered };
  }

  #createTable(): Statement {
    const isSoft = this.#soft('not', 'exists');
    const table = this.table();
    const columns: ColumnDefinition[] = [];
    let partitionKey: string[] = [];
    let clustering: string[] = [];
    this.need('(');
    this.list(')', () => {
      if (this.is('primary') && this.is('key', 1) && this.is('(', 2)) {
        this.at += 3;
        partitionKey = this.take('(') ? this.list(')', () => this.name()) : [this.name()];
        clustering = this.take(',') ? this.list(')', () => this.name()) : (this.need(')'), []);
        return;
      }
      const name = this.name();
      const type = this.type();
      const isStatic = this.take('static');
      columns.push({ name, type, isStatic });
      if (this.take('primary', 'key')) partitionKey = [name];
    });
    const options = this.take('with') ? this.#options() : new Map<string, string>();
    const order = options.get('clustering order') ?? '';
    const descending = clustering.filter((name) => new RegExp(`(?:^|[(,\\s"])${name}"?\\s+desc`, 'i').test(order));
    if (partitionKey.length === 0) throw syntax('No PRIMARY KEY specified (exactly one required)');
    return { is: 'create table', table, isSoft, columns, partitionKey, clustering, descending, options };
  }

  /** `name = value AND …`, the values as they are written. */
  #options(): Map<string, string> {
    const found = new Map<string, string>();
    do {
      if (this.take('clustering', 'order', 'by')) {
        found.set('clustering order', this.#balanced());
        continue;
      }
      if (this.take('compact', 'storage')) continue;
      const name = this.name();
      this.need('=');
      found.set(name, this.#balanced());
    } while (this.take('and'));
    return found;
  }

  /** One value: a constant, or everything in braces or parentheses. */
  #balanced(): string {
    const start = this.peek()?.start ?? 0;
    let depth = 0;
    do {
      const { text, kind } = this.next();
      if (kind === 'symbol' && (text === '{' || text === '(' || text === '[')) depth += 1;
      if (kind === 'symbol' && (text === '}' || text === ')' || text === ']')) depth -= 1;
    } while (depth > 0);
    const written = this.text.slice(start, this.tokens[this.at - 1]?.end ?? start);
    return /^'.*'$/s.test(written) ? written.slice(1, -1).replaceAll("''", "'") : written;
  }

  #alter(): Statement {
    if (this.take('keyspace')) return this.#keyspace(true);
    this.need('table');
    const table = this.table();
    const add: ColumnDefinition[] = [];
    const drop: string[] = [];
    let options = new Map<string, string>();
    if (this.take('add')) {
      const isMany = this.take('(');
      do {
        const name = this.name();
        const type = this.type();
        add.push({ name, type, isStatic: this.take('static') });
      } while (this.take(','));
      if (isMany) this.need(')');
    } else if (this.take('drop')) {
      const isMany = this.take('(');
      do drop.push(this.name()); while (this.take(','));
      if (isMany) this.need(')');
    } else {
      this.need('with');
      options = this.#options();
    }
    return { is: 'alter table', table, add, drop, options };
  }

  #drop(): Statement {
    const kind = this.name();
    const isSoft = this.#soft('exists');
    switch (kind) {
      case 'keyspace': return { is: 'drop keyspace', name: this.name(), isSoft };
      case 'table': return { is: 'drop table', table: this.table(), isSoft };
      case 'type': return { is: 'drop type', table: this.table(), isSoft };
      case 'index': return { is: 'drop index', index: this.table(), isSoft };
      default: throw this.stuck();
    }
  }
}
