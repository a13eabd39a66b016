/** What local's own catalog says that translations need: numbers of its enum types, and how its database orders text. For all sessions of a gateway. */
import { quoteLiteral } from '../../../grammar/names.ts';
import type { AskSide } from '../object-numbers.ts';

/** An answer that could not be had is asked for again after so long. */
const RETRY_AFTER_MS = 5_000;
/** Its number among PostgreSQL's encodings. */
const UTF8 = 6;

export class LocalTypes {
  readonly #ask: AskSide | undefined;
  readonly #now: () => number;
  readonly #numbers = new Map<string, number>();
  #order: boolean | undefined;
  #plainCase = false;
  #orderAskedMs = Number.NEGATIVE_INFINITY;
  readonly #missing = new Map<string, number>();

  constructor(ask: AskSide | undefined, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** Text is ordered by code point; false as long as that is not known. */
  get isByCodePoint(): boolean {
    return this.#order === true;
  }

  /** Upper and lower case are those of single letters, of more than ASCII's; false as long as that is not known. */
  get hasPlainCase(): boolean {
    return this.#plainCase;
  }

  /** Undefined: it is text to the client. */
  numberOf(spelling: string): number | undefined {
    return this.#numbers.get(spelling);
  }

  /** True: all is known, or cannot be had at the moment. Else `done` is called later, once. */
  learn(spellings: readonly string[], done: () => void): boolean {
    const now = this.#now();
    const unknown = spellings.filter((spelling) => !this.#numbers.has(spelling) && now - (this.#missing.get(spelling) ?? Number.NEGATIVE_INFINITY) > RETRY_AFTER_MS);
    const asksOrder = this.#order === undefined && now - this.#orderAskedMs > RETRY_AFTER_MS;
    if (!this.#ask || (unknown.length === 0 && !asksOrder)) return true;
    const types = unknown.map((spelling) => `SELECT ${quoteLiteral(spelling)}, pg_catalog.to_regtype(${quoteLiteral(spelling)})::pg_catalog.oid::pg_catalog.text`);
    const order = `SELECT '', CASE WHEN coalesce(pg_catalog.to_jsonb(d)->>'datlocprovider', 'c') <> 'i' AND coalesce(pg_catalog.to_jsonb(d)->>'datlocale', datcollate) IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8', 'PG_UNICODE_FAST') THEN 'yes' ELSE 'no' END FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database()`;
    // ß has no upper case where letters are taken one by one, and ä has one where more than ASCII is known.
    const letter = (code: number): string => `pg_catalog.chr(${code} + 0 * d.encoding)`;
    const letters = `SELECT ' ', CASE WHEN d.encoding <> ${UTF8} THEN 'no' WHEN pg_catalog.upper(${letter(0xe4)} || ${letter(0xdf)}) = ${letter(0xc4)} || ${letter(0xdf)} AND pg_catalog.lower(${letter(0xc4)}) = ${letter(0xe4)} THEN 'yes' ELSE 'no' END FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database()`;
    this.#ask('local', [...types, order, letters].join(' UNION ALL ')).then(
      (rows) => {
        for (const [spelling, answer] of rows) {
          if (spelling === '') this.#order = answer === 'yes';
          else if (spelling === ' ') this.#plainCase = answer === 'yes';
          else if (typeof spelling === 'string' && typeof answer === 'string') this.#numbers.set(spelling, Number(answer));
        }
      },
      () => undefined,
    ).finally(() => {
      this.#orderAskedMs = this.#now();
      for (const spelling of unknown) if (!this.#numbers.has(spelling)) this.#missing.set(spelling, this.#now());
      done();
    });
    return false;
  }
}
