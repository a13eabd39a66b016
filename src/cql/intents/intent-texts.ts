/** Texts of a write's statements, and the tables that they name. */
import type { CqlStatement } from '../../../grammar/cql/statement.ts';
import { BodyReader } from '../../wire/cql/body-reader.ts';
import { opcodes } from '../../wire/cql/frame.ts';
import { findBatch } from '../../wire/cql/request-body.ts';
import type { Intent } from './intent-log.ts';

export interface IntentTexts {
  readonly texts: readonly string[];
  /** `ks.table`, each once; the keyspace in use where the text names none. */
  readonly tables: readonly string[];
}

export function textsOf(intent: Pick<Intent, 'opcode' | 'body' | 'statements' | 'origin'>, read: (text: string) => CqlStatement): IntentTexts {
  const named = namedTexts(intent);
  const tables = named.flatMap(({ text, keyspace }) => {
    const facts = read(text);
    return (facts.batch?.children ?? [facts]).flatMap(({ keyspace: written, table }) => (table === undefined ? [] : [`${written ?? keyspace}.${table}`]));
  });
  return { texts: named.map(({ text }) => text), tables: [...new Set(tables)] };
}

function namedTexts({ opcode, body, statements, origin }: Pick<Intent, 'opcode' | 'body' | 'statements' | 'origin'>): readonly { readonly text: string; readonly keyspace: string }[] {
  if (opcode === opcodes.query) return [{ text: new BodyReader(body).longString(), keyspace: origin.keyspace }];
  if (opcode !== opcodes.batch) return statements;
  let prepared = 0;
  return findBatch(body, 0, body.length).children.flatMap(({ at, bytes, isPrepared }) => {
    if (!isPrepared) return [{ text: body.toString('utf8', at, at + bytes), keyspace: origin.keyspace }];
    const statement = statements[prepared++];
    return statement ? [statement] : [];
  });
}
