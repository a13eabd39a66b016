/** Which server a statement is about whose words PostgreSQL has as well: only the name says whose it is. */
import { nextToken } from '../tokens.ts';
import type { Token } from '../tokens.ts';

/**
 * ALTER and DROP SERVER, and everything about user mappings: the names that it gives, none when it breaks off before them. Undefined for every other text,
 * CREATE SERVER among them, whose wrapper says whose it is (`isMigrationText`).
 */
export function serversNamed(sql: string): readonly string[] | undefined {
  const words = new Words(sql);
  while (words.accept(';'));
  const verb = words.take()?.text ?? '';
  const isServer = words.accept('server');
  if (verb !== 'create' && verb !== 'alter' && verb !== 'drop') return undefined;
  if (isServer) return verb === 'create' ? undefined : namesBehind(words, verb === 'drop');
  if (!words.accept('user') || !words.accept('mapping')) return undefined;
  words.acceptIf();
  if (!words.accept('for')) return [];
  // A role, quoted or not, USER or CURRENT_USER.
  words.take();
  return words.accept('server') ? namesBehind(words, false) : [];
}

function namesBehind(words: Words, isList: boolean): readonly string[] {
  words.acceptIf();
  const names: string[] = [];
  do {
    const name = words.take();
    if (name === undefined || name.kind === 'symbol') break;
    names.push(name.text);
  } while (isList && words.accept(','));
  return names;
}

class Words {
  readonly #sql: string;
  #next: Token;

  constructor(sql: string) {
    this.#sql = sql;
    this.#next = nextToken(sql, 0);
  }

  take(): Token | undefined {
    const token = this.#next;
    if (token.kind === 'end' || token.kind === 'bad') return undefined;
    this.#next = nextToken(this.#sql, token.end);
    return token;
  }

  accept(text: string): boolean {
    const is = this.#next.text === text && this.#next.kind !== 'quoted';
    if (is) this.take();
    return is;
  }

  /** IF EXISTS, IF NOT EXISTS. */
  acceptIf(): void {
    if (!this.accept('if')) return;
    this.accept('not');
    this.accept('exists');
  }
}
