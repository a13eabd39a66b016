/** `KnownDefinitions` of a stream, in a file beside its record of the server. Without it tables whose definition changes stop more often than they have to. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '../spool/write-durably.ts';
import { KnownDefinitions } from './binlog/known-definitions.ts';
import type { KnownDefinition } from './binlog/known-definitions.ts';

export function openDefinitions(file: string): KnownDefinitions {
  return new KnownDefinitions(readDefinitions(file), (all) => {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    writeDurably(file, JSON.stringify(all));
  });
}

function readDefinitions(file: string): readonly KnownDefinition[] {
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, 'utf8')) as KnownDefinition[]) : [];
}
