/** What a gateway is made with. */
import type { ConnectionLimits } from '../../config/connection-limits.ts';
import type { SlotPort } from './admission.ts';
import type { ControlPort } from './control-port.ts';
import type { MysqlServer } from './mysql-tables/mysql-reach.ts';
import type { AskSide } from './object-numbers.ts';
import type { PoolOptions } from './pool/pools.ts';
import type { FactsLookup, GatewayLimits, LegConnector, RouteDecider, SourcePosition } from './services.ts';
import type { ClientTls } from './tls-clients.ts';
import type { MarkedRowsPort } from './two-phase/marked-rows-port.ts';
import type { UserEntry } from './users.ts';

export interface GatewayOptions {
  /** Left out: sockets come through `handleConnection` only. */
  readonly listen?: { readonly host: string; readonly port: number } | { readonly path: string };
  readonly users: readonly UserEntry[];
  readonly tls?: ClientTls;
  readonly legs: LegConnector;
  readonly control: ControlPort;
  readonly facts: FactsLookup;
  readonly routes: RouteDecider;
  readonly sourcePosition: SourcePosition;
  /** Asks either side about its types and tables; left out: both have the same numbers for them. */
  readonly askSide?: AskSide;
  /** Left out: no table is on a MySQL server. */
  readonly mysql?: MysqlServer;
  /** Writes rows to local with a client's commit; left out: every dual-written COMMIT waits for the stream. */
  readonly markedRows?: MarkedRowsPort;
  readonly limits?: Partial<GatewayLimits>;
  /** Who may have how many sessions, and who counts them; left out: no limits. */
  readonly connections?: { readonly limits: ConnectionLimits; readonly slots: SlotPort };
  /** The memory that sockets are read into is erased before it is used again: for tests. */
  readonly erasesInput?: boolean;
  /** How sessions share connections; left out: they do not. */
  readonly pools?: PoolOptions;
  /** Sessions are called `<name>-<n>`; unique among workers. */
  readonly name?: string;
  /** Shared by the workers, so that an unknown user gets the same challenge from each. */
  readonly secret?: Buffer;
  /** A CancelRequest for no session of this process: another worker may have it. */
  readonly onUnknownCancel?: (pid: number, key: Buffer, done: () => void) => void;
}
