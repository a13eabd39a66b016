/**
 * What a stream itself keeps of the server that it captures, beside its spool: a server keeps its binlogs for everybody, and nothing for one reader.
 * Written durably before the spool gives anything back; when it is lost with the spool, that shows by the spool's identity (RULES 7).
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { writeDurably } from '../spool/write-durably.ts';
import { readPosition, writePosition } from './position.ts';
import type { MysqlPosition } from './position.ts';

export interface SourceRecord {
  readonly generation: number;
  /** Everything before it may be forgotten. */
  readonly confirmed: bigint;
  /** Where reading begins for what comes behind it. */
  readonly resume: MysqlPosition;
}

export class SourceRecordFile {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  read(): SourceRecord | undefined {
    if (!fs.existsSync(this.#file)) return undefined;
    const { generation, confirmed, resume } = JSON.parse(fs.readFileSync(this.#file, 'utf8')) as { generation: number; confirmed: string; resume: unknown };
    return { generation, confirmed: BigInt(confirmed), resume: readPosition(resume) };
  }

  write({ generation, confirmed, resume }: SourceRecord): void {
    fs.mkdirSync(path.dirname(this.#file), { recursive: true });
    writeDurably(this.#file, JSON.stringify({ generation, confirmed: String(confirmed), resume: writePosition(resume) }));
  }

  remove(): void {
    fs.rmSync(this.#file, { force: true });
  }
}
