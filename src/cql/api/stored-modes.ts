/** The modes that were switched to last, on disk before they are in force: a restart goes on where operators have left it, whatever the settings say. */
import * as fs from 'node:fs';
import { MigrationError } from '../../../config/migration-error.ts';
import { readMode } from '../modes.ts';
import type { CqlMode, ModeTable } from '../modes.ts';
import { writeDurably } from './write-durably.ts';

interface Stored {
  readonly global: string;
  readonly keyspaces: Readonly<Record<string, string>>;
  readonly tables: Readonly<Record<string, string>>;
  readonly held?: readonly string[];
}

export interface SwitchedModes {
  readonly modes: ModeTable;
  /** Tables, `ks.table`, that a migration has. */
  readonly held: ReadonlySet<string>;
}

export class StoredModes {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Undefined when none were ever switched. Throws MIG091 when they cannot be read: to guess a mode is to lose writes. */
  read(): SwitchedModes | undefined {
    if (!fs.existsSync(this.#file)) return undefined;
    const { global, keyspaces, tables, held = [] } = this.#parse();
    return { modes: { global: this.#mode(global), keyspaces: this.#modes(keyspaces), tables: this.#modes(tables) }, held: new Set(held) };
  }

  /** Durable when it returns. */
  write(modes: ModeTable, held: ReadonlySet<string> = new Set()): void {
    const stored: Stored = { global: modes.global, keyspaces: Object.fromEntries(modes.keyspaces), tables: Object.fromEntries(modes.tables), held: [...held] };
    writeDurably(this.#file, `${JSON.stringify(stored, undefined, 2)}\n`);
  }

  #parse(): Stored {
    try {
      const { global, keyspaces, tables, held } = JSON.parse(fs.readFileSync(this.#file, 'utf8')) as Partial<Stored>;
      return { global: global ?? '', keyspaces: keyspaces ?? {}, tables: tables ?? {}, held: held ?? [] };
    } catch (error) {
      throw this.#unreadable(error instanceof Error ? error.message : String(error));
    }
  }

  #modes(stored: Readonly<Record<string, string>>): Map<string, CqlMode> {
    return new Map(Object.entries(stored).map(([name, mode]) => [name, this.#mode(mode)]));
  }

  #mode(text: string): CqlMode {
    const mode = readMode(text);
    if (!mode) throw this.#unreadable(`"${text}" is no mode`);
    return mode;
  }

  #unreadable(detail: string): MigrationError {
    return new MigrationError('MIG091', 'The stored modes of the CQL proxy cannot be read', { detail: `${this.#file}: ${detail}`, hint: 'Find out which mode was in force last (the log says each switch), write it there, and start again.' });
  }
}
