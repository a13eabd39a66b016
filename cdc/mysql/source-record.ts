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
  /** How often the stream has gone over to another server. */
  readonly generation: number;
  /** Who is read, as the server names itself. Undefined: not noted yet. */
  readonly server?: string | undefined;
  /** Who was read before, each with all that the next one had to have. */
  readonly earlier?: readonly string[] | undefined;
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
    const { generation, server, earlier, confirmed, resume } = JSON.parse(fs.readFileSync(this.#file, 'utf8')) as { generation: number; server?: string; earlier?: readonly string[]; confirmed: string; resume: unknown };
    return { generation, server, earlier, confirmed: BigInt(confirmed), resume: readPosition(resume) };
  }

  write({ generation, server, earlier, confirmed, resume }: SourceRecord): void {
    fs.mkdirSync(path.dirname(this.#file), { recursive: true });
    writeDurably(this.#file, JSON.stringify({ generation, server, earlier, confirmed: String(confirmed), resume: writePosition(resume) }));
  }

  remove(): void {
    fs.rmSync(this.#file, { force: true });
  }
}
