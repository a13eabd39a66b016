/** A MySQL front door in this process before a real server, with a control whose snapshot the test sets by hand. */
import { randomBytes } from 'node:crypto';
import { noConnectionLimits } from '../../../config/connection-limits.ts';
import { Admission, freeSlots } from '../../../src/session/admission.ts';
import { openMysqlDoor } from '../../../src/session/mysql/mysql-door.ts';
import type { MysqlDoor, MysqlDoorOptions } from '../../../src/session/mysql/mysql-door.ts';
import { makeScramVerifier } from '../../../src/wire/scram.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { FakeControl, testRuntime } from '../gateway-fixture.ts';

export interface DoorFixture extends AsyncDisposable {
  readonly door: MysqlDoor;
  readonly control: FakeControl;
  readonly warnings: string[];
}

/** The password of `app`, who is known by a SCRAM verifier, and of `old`, who is known by the hash of mysql_native_password too. */
export const appPassword = 'app secret ✓';
export const oldPassword = 'mariadb';
const oldHash = '*54958E764CE10E50764C2EECBB71D01F08549980';

export const doorUsers: MysqlDoorOptions['users'] = [
  { name: 'causeway', trustFrom: ['127.0.0.1'] },
  { name: 'app', verifier: makeScramVerifier(appPassword) },
  { name: 'old', verifier: makeScramVerifier(oldPassword), nativeHash: oldHash },
];

/** Every user of the gateway is the server's one user there. */
export async function openDoor(server: TestMysql, options: Partial<MysqlDoorOptions> = {}, control = new FakeControl('mysql')): Promise<DoorFixture> {
  const warnings: string[] = [];
  const runtime = testRuntime(warnings);
  const { host, port, user, password } = server;
  const door = await openMysqlDoor(runtime, {
    listen: { host: '127.0.0.1', port: 0 }, users: doorUsers, control, admission: new Admission(runtime, freeSlots, noConnectionLimits, 1_000),
    server: { host, port }, target: () => ({ host, port, user, password }), secret: randomBytes(32), erasesInput: true, ...options,
  });
  return { door, control, warnings, [Symbol.asyncDispose]: () => door.close() };
}
