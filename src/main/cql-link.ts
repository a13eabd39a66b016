/** The link between the control and the process of the CQL proxy, both ends: a Unix socket of the proxy's that only this user may open, and a connection for each question. */
import * as net from 'node:net';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { CqlService } from '../cql/api/cql-service.ts';
import type { ProxyAnswer, ProxyPort, ProxyQuestion, TableAtProxy } from '../migrate/clusters/proxy-port.ts';
import { jsonLines } from './json-lines.ts';
import { listenPrivately } from './listen-privately.ts';

/** Besides what a question says that it may take: requests of clients have to end. */
const ANSWER_MS = 60_000;
/** A proxy that was killed is started again within this. */
const AWAY_MS = 5_000;
const CONNECT_AGAIN_MS = 100;

export async function listenForControl(socketPath: string, service: CqlService): Promise<AsyncDisposable> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const link = jsonLines<ProxyQuestion, ProxyAnswer>(socket, (question) => {
      void answer(service, question).then((answered) => link.send(answered));
    });
  });
  return await listenPrivately(server, socketPath, sockets);
}

async function answer(service: CqlService, question: ProxyQuestion): Promise<ProxyAnswer> {
  try {
    return { ok: true, ...(await act(service, question)) };
  } catch (error) {
    if (!(error instanceof MigrationError)) return { ok: false, code: 'MIG090', message: error instanceof Error ? error.message : String(error) };
    const { code, message, detail, hint } = error;
    return { ok: false, code, message: message.replace(/^MIG\d+: /, ''), hint, ...(detail === undefined ? {} : { detail }) };
  }
}

async function act(service: CqlService, question: ProxyQuestion): Promise<{ readonly table?: TableAtProxy }> {
  switch (question.type) {
    case 'table': {
      const { refusal, ...figures } = service.table(question.name);
      return { table: { ...figures, refusal: refusal ?? null } };
    }
    case 'switch': {
      const { table, ...how } = question.request;
      await service.switchMode({ ...how, of: table, force: false, by: 'migration' });
      return {};
    }
    case 'validated': {
      const { tookMs, ...verdict } = question.result;
      const { isWhole } = verdict;
      await service.heard({ mode: isWhole ? 'FullScan' : 'RandomSample', beganMs: service.nowMs - tookMs, tables: [{ ...verdict, share: isWhole ? 1 : 0 }] });
      return {};
    }
    default: return question satisfies never;
  }
}

export function proxyLink({ clock, signal }: Pick<Runtime, 'clock' | 'signal'>, socketPath: string, awayMs = AWAY_MS): ProxyPort {
  const ask = async (question: ProxyQuestion, extraMs = 0): Promise<TableAtProxy | undefined> => {
    const endMs = clock.monotonicMs() + awayMs;
    for (;;) {
      const socket = await connect(socketPath).catch((error: unknown) => {
        if (clock.monotonicMs() >= endMs || signal.aborted) throw away(error);
      });
      if (socket) return await exchange(socket, question, ANSWER_MS + extraMs);
      await clock.sleep(CONNECT_AGAIN_MS, signal);
    }
  };
  return {
    table: async (name) => {
      const table = await ask({ type: 'table', name });
      if (!table) throw new MigrationError('MIG090', 'the CQL proxy has answered without the table');
      return table;
    },
    switchTable: async (request) => void (await ask({ type: 'switch', request }, request.waitMs)),
    validated: async (result) => void (await ask({ type: 'validated', result })),
  };
}

function away(cause: unknown): MigrationError {
  return new MigrationError('MIG084', 'The process of the CQL proxy cannot be reached', { cause, detail: cause instanceof Error ? cause.message : String(cause), hint: 'It is started again by itself; if this persists, look at the gateway\'s log.' });
}

function connect(socketPath: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

function exchange(socket: net.Socket, question: ProxyQuestion, limitMs: number): Promise<TableAtProxy | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new MigrationError('MIG087', 'The CQL proxy has not answered in time', { hint: 'Requests of clients may hang; look at its log, then at SHOW MIGRATION STATUS.' }));
      socket.destroy();
    }, limitMs);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(away(new Error('the connection was closed before an answer came')));
    });
    const link = jsonLines<ProxyAnswer, ProxyQuestion>(socket, (answered) => {
      if (answered.ok) resolve(answered.table);
      else reject(new MigrationError(answered.code, answered.message, { ...(answered.detail === undefined ? {} : { detail: answered.detail }), ...(answered.hint === undefined ? {} : { hint: answered.hint }) }));
      link.close();
    });
    link.send(question);
  });
}
