/** What the MySQL clients of one process share of their way to local. */
import { classifyMysql, splitMysqlText } from '../../../grammar/dialect/postgres/classify-mysql.ts';
import { pgValue } from '../../../grammar/dialect/postgres/mysql-value.ts';
import { translateMysql } from '../../../grammar/dialect/postgres/translate-mysql.ts';
import type { MysqlClassification, MysqlFacts, MysqlStatementText, MysqlTextMode, MysqlTranslation } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { BackendLender } from '../leg-connection.ts';
import type { LegTarget } from '../leg-target.ts';
import type { PoolMode, Pools } from '../pool/pools.ts';
import type { LegConnector } from '../services.ts';
import type { LargeBuffers } from '../../wire/socket-input.ts';
import { LocalLink } from './local-link.ts';
import { OwnConnection } from './own-connection.ts';

export interface MysqlLocalOptions {
  readonly pools: Pools;
  readonly legs: LegConnector;
  /** Default: the translation of `grammar/dialect/postgres`. */
  readonly dialect?: MysqlDialect;
}

/** Pure. As the functions of `grammar/dialect/postgres` say. */
export interface MysqlDialect {
  readonly split: typeof splitMysqlText;
  readonly classify: typeof classifyMysql;
  readonly translate: typeof translateMysql;
  readonly pgValue: typeof pgValue;
}

const usualDialect: MysqlDialect = { split: splitMysqlText, classify: classifyMysql, translate: translateMysql, pgValue };

/** Both doors' translations are pure: what they say of a text holds for as long as what they were told does. */
const MOST_TEXTS = 2_000;
const MOST_CHARACTERS = 8_192;

/** As `mysql-translation.ts` says; the zone of a client's session is written into the texts. */
const settings: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'], ['TimeZone', 'UTC'], ['DateStyle', 'ISO, MDY'], ['IntervalStyle', 'postgres'], ['bytea_output', 'hex'], ['extra_float_digits', '1'], ['standard_conforming_strings', 'on'],
]);

export class MysqlLocal {
  readonly #options: MysqlLocalOptions;
  readonly dialect: MysqlDialect;
  readonly #connectTimeoutMs: number;
  readonly #now: () => number;
  readonly #readBuffers: LargeBuffers;
  readonly #classified = new BoundedTexts<MysqlClassification | undefined>();
  readonly #translated = new BoundedTexts<{ readonly basis: readonly unknown[]; readonly translation: MysqlTranslation }>();
  /** `server_version_num` of local; undefined until somebody has asked. */
  version: number | undefined;
  /** Numbers of the MySQL server's collations, as far as sessions have had them. */
  readonly collations = new Map<string, number>();

  constructor(options: MysqlLocalOptions, connectTimeoutMs: number, now: () => number, readBuffers: LargeBuffers) {
    this.#options = options;
    this.dialect = options.dialect ?? usualDialect;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#now = now;
    this.#readBuffers = readBuffers;
  }

  /** Throws a MigrationError when the user has no counterpart on local. */
  open(user: string, database: string, lockWaitSeconds: number, onOver: () => void): LocalLink {
    const { pools, legs } = this.#options;
    const target = legs.target('local', { user, database });
    const startup = new Map([...settings, ['application_name', 'causeway mysql'], ['lock_timeout', `${Math.min(lockWaitSeconds, 2_000_000)}s`]]);
    const isOwn = pools.options.modeOf(user, database) === 'session';
    const lender: BackendLender = isOwn ? new OwnConnection({ target, startup, timeoutMs: this.#connectTimeoutMs, nowMs: this.#now, readBuffers: this.#readBuffers }) : pools.lender('local', target, { user, database, startup });
    return new LocalLink(lender, isOwn, this.#now, onOver);
  }

  /** Undefined: the user has none. */
  targetOf(user: string, database: string): LegTarget | undefined {
    try {
      return this.#options.legs.target('local', { user, database });
    } catch (error) {
      if (error instanceof MigrationError) return undefined;
      throw error;
    }
  }

  modeOf(user: string, database: string): PoolMode {
    return this.#options.pools.options.modeOf(user, database);
  }

  split(text: string, mode: MysqlTextMode): readonly MysqlStatementText[] {
    // Of nearly all there is one; what makes several is looked for before their text is.
    return text.includes(';') ? this.dialect.split(text, mode).filter((each) => each.text.trim() !== '') : [{ text, offset: 0 }];
  }

  classify(text: string, mode: MysqlTextMode): MysqlClassification | undefined {
    const key = `${modeName(mode)}\0${text}`;
    if (this.#classified.has(key)) return this.#classified.get(key);
    const found = this.dialect.classify(text, mode);
    this.#classified.set(key, found);
    return found;
  }

  /** `basis`: all that the facts were made of; equal parts, equal facts. */
  translate(text: string, facts: MysqlFacts, basis: readonly unknown[], isRepeated: boolean): MysqlTranslation {
    if (!isRepeated) return this.dialect.translate(text, facts);
    const known = this.#translated.get(text);
    if (known && known.basis.length === basis.length && known.basis.every((part, index) => part === basis[index])) return known.translation;
    const translation = this.dialect.translate(text, facts);
    this.#translated.set(text, { basis, translation });
    return translation;
  }
}

function modeName({ sqlMode, server }: MysqlTextMode): string {
  return `${server.flavour}${server.version} ${[...sqlMode].join()}`;
}

/** The ones used last; long texts are not kept. */
class BoundedTexts<Value> {
  readonly #values = new Map<string, Value>();

  has(text: string): boolean {
    return this.#values.has(text);
  }

  get(text: string): Value | undefined {
    return this.#values.get(text);
  }

  set(text: string, value: Value): void {
    if (text.length > MOST_CHARACTERS) return;
    this.#values.delete(text);
    this.#values.set(text, value);
    const [oldest] = this.#values.keys();
    if (this.#values.size > MOST_TEXTS && oldest !== undefined) this.#values.delete(oldest);
  }
}
