/** What the parts of the MySQL front door ask of the whole. */
import type * as net from 'node:net';
import type { RoutingSnapshot } from '../../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../../config/runtime.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import type { MysqlLogin, MysqlTarget } from '../../wire/mysql/connect-mysql.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { Greeting } from '../../wire/mysql/greeting.ts';
import type { LargeBuffers } from '../../wire/socket-input.ts';
import type { ConnectionTraits } from '../../wire/mysql/handshake-response.ts';
import type { Admission } from '../admission.ts';
import type { ControlPort } from '../control-port.ts';
import type { GatewayLimits } from '../services.ts';
import type { TlsClients } from '../tls-clients.ts';
import type { KillKind } from './kill-on-server.ts';
import type { MysqlLocal } from '../mysql-local/mysql-local.ts';
import type { MysqlContext, MysqlDecision } from './mysql-decision.ts';
import type { MysqlPasswords } from './mysql-passwords.ts';

export interface MysqlServices {
  readonly runtime: Runtime;
  readonly control: ControlPort;
  readonly limits: GatewayLimits;
}

/** Who has logged in, and on what. */
export interface MysqlAdmitted {
  user: string;
  database: string | undefined;
  target: MysqlTarget;
  readonly address: string;
  readonly socket: net.Socket;
  readonly isPrivate: boolean;
  readonly connectionId: number;
  /** As the client and the source have agreed upon them with the gateway: the same, so that answers can pass. */
  readonly capabilities: Capabilities;
  readonly traits: ConnectionTraits;
  readonly attributes: Buffer | undefined;
  readonly login: Extract<MysqlLogin, { ok: true }>;
  /** Bytes that came behind the last packet of the login. */
  readonly early: Buffer;
  /** Gives the client's place back. */
  readonly leave: () => void;
}

/** A session, as its helpers and the door see it. */
export interface DoorSession {
  readonly sessionId: string;
  readonly client: MysqlAdmitted;
  readonly capabilities: Capabilities;
  /** Of its connection to the source. */
  readonly threadId: number;
  /** Transaction and autocommit, as the gateway's own answers say them. */
  readonly status: number;
  fail(error: MysqlError, sequence: number): void;
  /** Packets are no commands until `changed`. */
  readPackets(listener: (payload: Buffer, sequence: number) => void): void;
  /** Over to another connection to the source. */
  changed(login: MysqlAdmitted['login'], who: Pick<MysqlAdmitted, 'user' | 'database' | 'target'>): void;
  close(): void;
}

export interface MysqlDoorHost {
  readonly services: MysqlServices;
  readonly passwords: MysqlPasswords;
  readonly tls: TlsClients | undefined;
  readonly admission: Admission;
  /** What clients and the source are read into. */
  readonly readBuffers: LargeBuffers;
  readonly snapshot: RoutingSnapshot;
  /** Undefined: there is no way to local. */
  readonly local: MysqlLocal | undefined;
  /** No table migrates: nothing is to be decided. */
  isTrivial(): boolean;
  /** True for what the migration control answers. */
  isControl(text: string): boolean;
  /** Undefined: it passes, and nobody has looked at what it touches. */
  decide(text: string, context: MysqlContext): MysqlDecision | undefined;
  /** Where that user's connections to the source go. Throws a MigrationError. */
  target(user: string, database: string | undefined): MysqlTarget;
  /** What the source says to clients, once it is known. */
  greeting(done: (greeting: Greeting | Error) => void): void;
  /** A client is told what the last server has said. */
  greeted(greeting: Greeting): void;
  /** Without that login there are as many as may be. */
  isFull(login: object): boolean;
  admitted(client: MysqlAdmitted): void;
  loginEnded(login: object): void;
  refused(reason: 'authentication' | 'limit' | 'protocol' | 'timeout' | 'shutdown' | 'queue_full' | 'queue_timeout'): void;
  sessionEnded(session: DoorSession): void;
  /** A unit has begun, ended, or waits. */
  unitChanged(): void;
  /** True for numbers that gateways give out. */
  isOwnId(id: number): boolean;
  /** Of a session of this process, the number of its connection to the source. */
  threadOf(id: number): number | undefined;
  /** What that session of this process runs on local is to end. */
  cancelLocal(id: number): void;
  /** A session of another process. `done`: whether there may be one. */
  killElsewhere(id: number, kind: KillKind, user: string, done: (found: boolean) => void): void;
  /** Its client has gone: what it runs is to end. */
  killOf(session: DoorSession): void;
}
