/**
 * `KnownDefinitions` of a stream, in a folder beside its record of the server, a file for each table. Without it tables whose definition changes stop more often
 * than they have to.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '../spool/write-durably.ts';
import { KnownDefinitions } from './binlog/known-definitions.ts';
import type { KnownDefinition } from './binlog/known-definitions.ts';
import type { TableName } from './binlog/transaction.ts';

export function openDefinitions(folder: string): KnownDefinitions {
  return new KnownDefinitions(readDefinitions(folder), (table, definitions) => {
    const file = path.join(folder, fileName(table));
    if (definitions.length === 0) {
      fs.rmSync(file, { force: true });
      return;
    }
    fs.mkdirSync(folder, { recursive: true });
    writeDurably(file, JSON.stringify(definitions));
  });
}

/** Names of tables may be too long for files, and differ by case alone. */
function fileName({ schema, name }: TableName): string {
  return `${createHash('sha256').update(JSON.stringify([schema, name])).digest('hex').slice(0, 32)}.json`;
}

function readDefinitions(folder: string): readonly KnownDefinition[] {
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder).filter((file) => file.endsWith('.json')).flatMap((file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) as KnownDefinition[]);
}
