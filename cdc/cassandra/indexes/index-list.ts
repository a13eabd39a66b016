/** The indexes that have been dropped and are to be built again, in a file that is there before the first of them goes. */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { MigrationError } from '../../../config/migration-error.ts';
import type { IndexDefinition } from './index-definition.ts';

export class IndexList {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Throws MIG091 when the file is there and cannot be read: an index that nobody remembers is never built again. */
  async read(): Promise<readonly IndexDefinition[]> {
    let text: string;
    try {
      text = await fs.readFile(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    try {
      return JSON.parse(text) as readonly IndexDefinition[];
    } catch (error) {
      throw new MigrationError('MIG091', `The list of dropped indexes in ${this.#file} cannot be read`, { cause: error, hint: 'Repair the file, or write the indexes that it held into indexes.yaml and remove it.' });
    }
  }

  /** Adds those that the list does not have: after an aborted drop the table no longer tells of all. */
  async remember(indexes: readonly IndexDefinition[]): Promise<readonly IndexDefinition[]> {
    const known = await this.read();
    const all = [...known, ...indexes.filter((index) => !known.some((one) => isNamed(one, index)))];
    await this.#write(all);
    return all;
  }

  async forget(indexes: readonly IndexDefinition[]): Promise<void> {
    await this.#write((await this.read()).filter((one) => !indexes.some((index) => isNamed(one, index))));
  }

  /** Whole or not at all, also when the machine stops. */
  async #write(indexes: readonly IndexDefinition[]): Promise<void> {
    if (indexes.length === 0) {
      await fs.rm(this.#file, { force: true });
      return;
    }
    const fresh = `${this.#file}.new`;
    const handle = await fs.open(fresh, 'w');
    try {
      await handle.writeFile(`${JSON.stringify(indexes, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(fresh, this.#file);
    const folder = await fs.open(path.dirname(this.#file), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function isNamed(a: IndexDefinition, b: IndexDefinition): boolean {
  return a.keyspace === b.keyspace && a.name === b.name;
}
