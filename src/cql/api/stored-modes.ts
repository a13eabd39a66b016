/** The modes that were switched to last, on disk before they are in force: a restart goes on where operators have left it, whatever the settings say. */
import * as fs from 'node:fs';
import { MigrationError } from '../../../config/migration-error.ts';
import { readMode } from '../modes.ts';
import type { CqlMode, ModeTable } from '../modes.ts';
import { writeDurably } from './write-durably.ts';

/** As they stand in the file, and as the proxies of a group tell them each other. */
export interface ModesText {
  readonly global: string;
  readonly keyspaces: Readonly<Record<string, string>>;
  readonly tables: Readonly<Record<string, string>>;
  readonly held?: readonly string[];
  readonly epoch?: number;
  readonly pending?: Readonly<Record<string, { readonly attempt: string; readonly mode: string }>>;
}

/** A change of the cluster that is read which this proxy has agreed to: whether it is made is decided elsewhere. */
export interface PendingMove {
  readonly attempt: string;
  readonly mode: CqlMode;
}

export interface SwitchedModes {
  readonly modes: ModeTable;
  /** Tables, `ks.table`, that a migration has. */
  readonly held: ReadonlySet<string>;
  /** Of the group's last switch that this proxy has made; 0 before the first. */
  readonly epoch: number;
  readonly pending: ReadonlyMap<string, PendingMove>;
}

export class StoredModes {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Undefined when none were ever switched. Throws MIG091 when they cannot be read: to guess a mode is to lose writes. */
  read(): SwitchedModes | undefined {
    if (!fs.existsSync(this.#file)) return undefined;
    try {
      return readModes(JSON.parse(fs.readFileSync(this.#file, 'utf8')) as Partial<ModesText>);
    } catch (error) {
      throw new MigrationError('MIG091', 'The stored modes of the CQL proxy cannot be read', {
        detail: `${this.#file}: ${error instanceof Error ? error.message : String(error)}`, hint: 'Find out which mode was in force last (the log says each switch), write it there, and start again.',
      });
    }
  }

  /** Durable when it returns. */
  write(switched: SwitchedModes): void {
    writeDurably(this.#file, `${JSON.stringify(textOfModes(switched), undefined, 2)}\n`);
  }
}

export function textOfModes({ modes, held, epoch, pending }: SwitchedModes): ModesText {
  return { global: modes.global, keyspaces: Object.fromEntries(modes.keyspaces), tables: Object.fromEntries(modes.tables), held: [...held], epoch, pending: Object.fromEntries(pending) };
}

/** Throws for what is no mode. */
export function readModes({ global = '', keyspaces = {}, tables = {}, held = [], epoch = 0, pending = {} }: Partial<ModesText>): SwitchedModes {
  return {
    modes: { global: modeNamed(global), keyspaces: modesNamed(keyspaces), tables: modesNamed(tables) }, held: new Set(held), epoch,
    pending: new Map(Object.entries(pending).map(([table, { attempt, mode }]) => [table, { attempt, mode: modeNamed(mode) }])),
  };
}

function modesNamed(stored: Readonly<Record<string, string>>): Map<string, CqlMode> {
  return new Map(Object.entries(stored).map(([name, mode]) => [name, modeNamed(mode)]));
}

function modeNamed(text: string): CqlMode {
  const mode = readMode(text);
  if (!mode) throw new Error(`"${text}" is no mode`);
  return mode;
}
