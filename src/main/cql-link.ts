/**
 * How the control asks the process of a CQL proxy, and the proxies of a group each other, both ends: a connection for each question. On one machine a Unix socket of the proxy's that only this user may open; between
 * machines those of `group-socket.ts`.
 */
import * as net from 'node:net';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { CqlService } from '../cql/api/cql-service.ts';
import type { ModesText } from '../cql/api/stored-modes.ts';
import type { ProxyAnswer, ProxyMember, ProxyPort, ProxyQuestion, TableAtProxy } from '../migrate/clusters/proxy-port.ts';
import { pauseAt } from '../migrate/clusters/proxy-group.ts';
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
    answerOn(socket, service, () => true);
  });
  return await listenPrivately(server, socketPath, sockets);
}

/** While `isServing` is false only the modes are told: this proxy does not know yet which ones are in force. */
export function answerOn(socket: net.Socket, service: CqlService, isServing: () => boolean): void {
  const link = jsonLines<ProxyQuestion, ProxyAnswer>(socket, (question) => {
    void answer(service, question, isServing()).then((answered) => link.send(answered));
  });
}

async function answer(service: CqlService, question: ProxyQuestion, isServing: boolean): Promise<ProxyAnswer> {
  try {
    if (!isServing && question.type !== 'modes') throw new MigrationError('MIG084', 'The CQL proxy does not serve yet: it asks the others of its group for their modes', { hint: 'Wait; its log says for whom it waits.' });
    return { ok: true, value: await act(service, question) };
  } catch (error) {
    if (!(error instanceof MigrationError)) return { ok: false, code: 'MIG090', message: error instanceof Error ? error.message : String(error) };
    const { code, message, detail, hint } = error;
    return { ok: false, code, message: message.replace(/^MIG\d+: /, ''), hint, ...(detail === undefined ? {} : { detail }) };
  }
}

async function act(service: CqlService, question: ProxyQuestion): Promise<unknown> {
  switch (question.type) {
    case 'table': {
      const { refusal, ...figures } = service.table(question.name);
      return { ...figures, modes: [figures.mode], refusal: refusal ?? null } satisfies TableAtProxy;
    }
    case 'switch': {
      const { table, ...how } = question.request;
      await service.switchMode({ ...how, of: table, force: false, by: 'migration' });
      return undefined;
    }
    case 'validated': {
      const { tookMs, ...verdict } = question.result;
      const { isWhole } = verdict;
      await service.heard({ mode: isWhole ? 'FullScan' : 'RandomSample', beganMs: service.nowMs - tookMs, tables: [{ ...verdict, share: isWhole ? 1 : 0 }] });
      return undefined;
    }
    case 'free': return service.moves.isFree(question.move);
    case 'prepare': return service.moves.prepare(question.move);
    case 'commit': return service.moves.commit(question.table, question.move);
    case 'take-back': return service.moves.takeBack(question.table, question.attempt);
    case 'pause': return service.pauses.begin(question.pause);
    case 'end-pause': return service.pauses.end(question.table, question.id);
    case 'modes': return service.groupModes() ?? null;
    default: return question satisfies never;
  }
}

type LinkRuntime = Pick<Runtime, 'clock' | 'signal'>;

/** Throws MIG084 when nobody is there within `awayMs`. */
async function ask(runtime: LinkRuntime, connect: () => Promise<net.Socket>, name: string, awayMs: number, question: ProxyQuestion, extraMs = 0): Promise<unknown> {
  const { clock, signal } = runtime;
  const endMs = clock.monotonicMs() + awayMs;
  for (;;) {
    const socket = await connect().catch((error: unknown) => {
      if (clock.monotonicMs() >= endMs || signal.aborted) throw away(name, error);
    });
    if (socket) return await exchange(socket, name, question, ANSWER_MS + extraMs);
    await clock.sleep(CONNECT_AGAIN_MS, signal);
  }
}

/** Of one proxy. */
export function memberLink(runtime: LinkRuntime, connect: () => Promise<net.Socket>, name: string, awayMs = AWAY_MS): ProxyMember {
  const asked = (question: ProxyQuestion, extraMs = 0): Promise<unknown> => ask(runtime, connect, name, awayMs, question, extraMs);
  return {
    name,
    table: async (table) => (await asked({ type: 'table', name: table })) as TableAtProxy,
    switchTable: async (request) => void (await asked({ type: 'switch', request }, request.waitMs)),
    validated: async (result) => void (await asked({ type: 'validated', result })),
    isFree: async (move) => (await asked({ type: 'free', move })) === true,
    prepare: async (move) => (await asked({ type: 'prepare', move })) === true,
    commit: async (table, move) => void (await asked({ type: 'commit', table, move })),
    beginPause: async (pause) => (await asked({ type: 'pause', pause })) === true,
    endPause: async (table, id) => (await asked({ type: 'end-pause', table, id })) === true,
    takeBack: async (table, attempt) => void (await asked({ type: 'take-back', table, attempt })),
  };
}

/** The modes of another proxy of the group; undefined while it was never switched. */
export async function modesOfMember(runtime: LinkRuntime, connect: () => Promise<net.Socket>, name: string): Promise<ModesText | undefined> {
  return ((await ask(runtime, connect, name, 0, { type: 'modes' })) as ModesText | null) ?? undefined;
}

/** The one proxy that there is: its own switch is the whole of it, and nothing can be left of one. */
export function proxyLink(runtime: LinkRuntime, socketPath: string, awayMs = AWAY_MS): ProxyPort {
  const member = memberLink(runtime, () => connectTo(socketPath), 'the CQL proxy', awayMs);
  return { ...member, moveTable: (request) => member.switchTable(request), settleMove: () => Promise.resolve(), pause: (table) => pauseAt([member], table) };
}

function away(name: string, cause: unknown): MigrationError {
  return new MigrationError('MIG084', `The process of ${name} cannot be reached`, { cause, detail: cause instanceof Error ? cause.message : String(cause), hint: 'It is started again by itself; if this persists, look at the gateway\'s log.' });
}

export function connectTo(socketPath: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

function exchange(socket: net.Socket, name: string, question: ProxyQuestion, limitMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new MigrationError('MIG087', `${name.replace(/^the/, 'The')} has not answered in time`, { hint: 'Requests of clients may hang; look at its log, then at SHOW MIGRATION STATUS.' }));
      socket.destroy();
    }, limitMs);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(away(name, new Error('the connection was closed before an answer came')));
    });
    const link = jsonLines<ProxyAnswer, ProxyQuestion>(socket, (answered) => {
      if (answered.ok) resolve(answered.value);
      else reject(new MigrationError(answered.code, answered.message, { ...(answered.detail === undefined ? {} : { detail: answered.detail }), ...(answered.hint === undefined ? {} : { hint: answered.hint }) }));
      link.close();
    });
    link.send(question);
  });
}
