/** How the texts of a session are read: by what it is on the server. */
import { relationKey } from '../../../catalog/routing-snapshot.ts';
import type { MysqlClassification, MysqlTextMode } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { readMysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';
import type { MysqlDefinition } from '../../../grammar/dialect/postgres/read-definition.ts';
import type { LocalContext } from '../mysql/mysql-decision.ts';
import type { LocalSession } from './local-session.ts';
import type { MysqlLocal } from './mysql-local.ts';
import { serverOf } from './session-facts.ts';
import type { SessionFacts } from './session-facts.ts';

export class LocalReading implements LocalContext {
  readonly #texts: MysqlLocal;
  readonly #client: LocalSession['client'];
  /** Undefined: to be asked again. */
  protected facts: SessionFacts | undefined;

  constructor(texts: MysqlLocal, { client }: LocalSession) {
    this.#texts = texts;
    this.#client = client;
  }

  get isKnown(): boolean {
    return this.facts !== undefined;
  }

  get mode(): MysqlTextMode {
    return { sqlMode: this.facts?.sqlMode ?? new Set(), server: serverOf(this.#client.login.greeting.version) };
  }

  split(text: string): readonly string[] {
    return this.#texts.split(text, this.mode).map((each) => each.text);
  }

  classify(text: string): MysqlClassification | undefined {
    return this.#texts.classify(text, this.mode);
  }

  definition(text: string): MysqlDefinition | undefined {
    return readMysqlDefinition(text, this.mode);
  }

  /** Key of what a name of a statement stands for. */
  keyOf({ database, name }: { readonly database?: string | undefined; readonly name: string }): string {
    const [schema, table] = [database ?? this.facts?.database ?? '', name];
    return this.facts?.foldsNames === true ? relationKey(schema.toLowerCase(), table.toLowerCase()) : relationKey(schema, table);
  }
}
