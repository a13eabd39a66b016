/** LOAD DATA LOCAL INFILE from its first question to its answer: what the server would allow, the file, and where its rows go. */
import type { MigratedTable } from '../../../grammar/dialect/migrated-table.ts';
import type { MysqlPlan, MysqlServer } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { Capability } from '../../wire/mysql/capabilities.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { LocalAnswer } from './local-answer.ts';
import type { LocalSession } from './local-session.ts';
import { LoadRun } from './load-run.ts';
import type { LoadedRows, LoadOutcome, LoadRequest } from './load-run.ts';
import type { SessionFacts } from './session-facts.ts';
import { tableTranslation } from './table-translation.ts';

/** Stands for a translation: the rows have their own. */
export const loadPlan: MysqlPlan = { type: 'plan', steps: [], columns: [], counts: { kind: 'none' }, insertId: undefined, needsTransaction: false, command: 'LOAD', parameters: 0, commitsBefore: false };

export interface StartedLoad {
  /** Packets of the file. Returns whether they are to stop for now; undefined: none has been asked for. */
  take(bytes: Buffer): boolean | undefined;
  fileEnded(): void;
  cancel(): void;
}

export interface LoadParts extends Pick<LoadRequest, 'link' | 'load' | 'isInTransaction' | 'translate' | 'values'> {
  readonly session: LocalSession;
  readonly answer: LocalAnswer;
  readonly table: MigratedTable | undefined;
  readonly facts: SessionFacts;
  readonly server: MysqlServer;
}

export function startLoad(parts: LoadParts, done: (outcome: LoadOutcome) => void): StartedLoad {
  const { session, answer, table, facts, server, load, link, isInTransaction, translate, values } = parts;
  let run: LoadRun | undefined;
  const mayLoad = (session.client.capabilities.flags & Capability.localFiles) !== 0;
  session.askServer('SELECT @@local_infile, @@character_set_database', (rows) => {
    const [allowed, charset] = rows?.[0] ?? [];
    if (!mayLoad || allowed !== '1' || table === undefined) return done({ type: 'told', error: notAllowed(server) });
    run = new LoadRun({
      link, load, isInTransaction, translate, values, sqlMode: facts.sqlMode, table: tableTranslation(table), charset: charset ?? 'utf8mb4',
      askForFile: () => {
        answer.askForFile(load.file);
        session.wantsFile();
      },
      drained: () => session.serverDrained(),
      done: (outcome, sequence) => {
        if (sequence !== undefined) answer.goOnBehind(sequence);
        done(outcome);
      },
    });
    run.start();
  });
  return { take: (bytes) => run?.take(bytes), fileEnded: () => run?.fileEnded(), cancel: () => run?.cancel() };
}

/** As the server says it whose clients or administrators do not allow files of clients. */
function notAllowed({ flavour, version }: MysqlServer): MysqlError {
  if (flavour === 'mariadb') return { code: 4166, sqlstate: 'HY000', message: 'The used command is not allowed because the MariaDB server or client has disabled the local infile capability' };
  if (version < 80_000) return { code: 1148, sqlstate: '42000', message: 'The used command is not allowed with this MySQL version' };
  return { code: 3948, sqlstate: '42000', message: 'Loading local data is disabled; this must be enabled on both the client and server sides' };
}

/** As the server words it: what met a row that was there is left out. */
export function loadInfo({ records, affected }: LoadedRows): string {
  return `Records: ${records}  Deleted: 0  Skipped: ${records - affected}  Warnings: 0`;
}
