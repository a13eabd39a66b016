/**
 * Log-in at a MySQL or MariaDB server, with the plugins that replication accounts have: mysql_native_password, caching_sha2_password and
 * sha256_password. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
import { constants, createHash, publicEncrypt } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { errorOf, MysqlServerError } from './server-error.ts';
import type { ServerChannel } from './server-channel.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
  /** Absent: the connection stays plain. */
  readonly tls: ConnectionOptions | undefined;
}

const capability = { longPassword: 1, longFlag: 4, protocol41: 0x200, tls: 0x800, transactions: 0x2000, secureConnection: 0x8000, pluginAuth: 0x8_0000, pluginAuthLenenc: 0x20_0000 } as const;
const wanted = capability.longPassword | capability.longFlag | capability.protocol41 | capability.transactions | capability.secureConnection | capability.pluginAuth | capability.pluginAuthLenenc;
const UTF8MB4_GENERAL_CI = 45;
const PROTOCOL_10 = 10;
const LARGEST_PACKET = 0x4000_0000;

const answer = { ok: 0x00, more: 0x01, authSwitch: 0xfe, error: 0xff } as const;
const sha2 = { requestKey: 0x02, fastOk: 0x03, fullNeeded: 0x04 } as const;
const SHA256_REQUEST_KEY = 0x01;

const plugins: ReadonlySet<string> = new Set(['mysql_native_password', 'caching_sha2_password', 'sha256_password', 'mysql_clear_password']);
const NOT_SUPPORTED_AUTH_MODE = 1251;

interface Greeting {
  readonly version: string;
  readonly capabilities: number;
  readonly salt: Buffer;
  readonly plugin: string;
}

/** Resolves with the server's version as it greets. */
export async function logIn(channel: ServerChannel, credentials: Credentials): Promise<string> {
  const greeting = readGreeting(await channel.next());
  if (credentials.tls) {
    if ((greeting.capabilities & capability.tls) === 0) throw new Error('the server does not offer TLS');
    channel.send(clientHead(wanted | capability.tls), true);
    await channel.encrypt(credentials.tls);
  }
  const { user, password, tls } = credentials;
  const proof = prove(channel, greeting.plugin, password, greeting.salt);
  const head = clientHead(wanted | (tls ? capability.tls : 0));
  channel.send(Buffer.concat([head, cString(user), Buffer.from([proof.length]), proof, cString(greeting.plugin)]), true);
  await authenticate(channel, password, greeting.plugin, greeting.salt);
  return greeting.version;
}

async function authenticate(channel: ServerChannel, password: string, plugin: string, salt: Buffer): Promise<void> {
  for (;;) {
    const reply = await channel.next();
    switch (reply[0]) {
      case answer.ok:
        return;
      case answer.error:
        throw errorOf(reply);
      case answer.authSwitch: {
        const nameEnd = reply.indexOf(0, 1);
        plugin = reply.toString('latin1', 1, nameEnd);
        if (!plugins.has(plugin)) throw new MysqlServerError(NOT_SUPPORTED_AUTH_MODE, '08004', `the account logs in by ${plugin}, which is not spoken here`);
        salt = withoutZero(reply.subarray(nameEnd + 1));
        channel.send(plugin === 'mysql_clear_password' ? clearPassword(channel, password) : prove(channel, plugin, password, salt), true);
        break;
      }
      case answer.more:
        await continueExchange(channel, password, plugin, salt, reply.subarray(1));
        break;
      default:
        throw new Error(`the server answered the log-in with a packet of kind ${reply[0] ?? 'none'}`);
    }
  }
}

/** The server has not kept the password's hash: it wants the password itself, on a private connection as it is, else encrypted by its own public key. */
async function continueExchange(channel: ServerChannel, password: string, plugin: string, salt: Buffer, data: Buffer): Promise<void> {
  if (plugin === 'caching_sha2_password' && data[0] === sha2.fastOk) return;
  if (plugin === 'caching_sha2_password' && data[0] === sha2.fullNeeded) {
    if (channel.isPrivate) {
      channel.send(cString(password), true);
      return;
    }
    channel.send(Buffer.from([sha2.requestKey]), true);
    const reply = await channel.next();
    if (reply[0] === answer.error) throw errorOf(reply);
    channel.send(encryptPassword(password, salt, reply.subarray(1)), true);
    return;
  }
  if (plugin === 'sha256_password') {
    channel.send(encryptPassword(password, salt, data), true);
    return;
  }
  throw new Error(`the server asks for more than ${plugin} needs`);
}

function prove(channel: ServerChannel, plugin: string, password: string, salt: Buffer): Buffer {
  if (plugin === 'sha256_password') return password === '' || channel.isPrivate ? cString(password) : Buffer.from([SHA256_REQUEST_KEY]);
  if (password === '') return Buffer.alloc(0);
  switch (plugin) {
    case 'mysql_native_password': {
      const once = hash('sha1', password);
      return xor(once, hash('sha1', salt, hash('sha1', once)));
    }
    case 'caching_sha2_password': {
      const once = hash('sha256', password);
      return xor(once, hash('sha256', hash('sha256', once), salt));
    }
    // Another plugin of the greeting: the server answers with the one that the account has.
    default:
      return Buffer.alloc(0);
  }
}

function clearPassword(channel: ServerChannel, password: string): Buffer {
  if (!channel.isPrivate) throw new Error('the server wants the password in clear, which is sent over TLS or a Unix socket only');
  return cString(password);
}

function encryptPassword(password: string, salt: Buffer, key: Buffer): Buffer {
  const text = cString(password);
  const masked = Buffer.from(text.map((byte, index) => byte ^ (salt[index % salt.length] ?? 0)));
  return publicEncrypt({ key: key.toString('latin1'), padding: constants.RSA_PKCS1_OAEP_PADDING }, masked);
}

function readGreeting(payload: Buffer): Greeting {
  if (payload[0] === answer.error) throw errorOf(payload);
  if (payload[0] !== PROTOCOL_10) throw new Error(`the server speaks protocol ${payload[0] ?? 'none'}, not 10`);
  const versionEnd = payload.indexOf(0, 1);
  const at = versionEnd + 5;
  const capabilities = payload.readUInt16LE(at + 9) | (payload.readUInt16LE(at + 14) << 16);
  const saltLength = Math.max(12, (payload[at + 16] ?? 0) - 9);
  const saltAt = at + 27;
  const salt = Buffer.concat([payload.subarray(at, at + 8), payload.subarray(saltAt, saltAt + saltLength)]);
  const plugin = withoutZero(payload.subarray(saltAt + saltLength + 1)).toString('latin1');
  return { version: payload.toString('latin1', 1, versionEnd), capabilities, salt, plugin: plugin === '' ? 'mysql_native_password' : plugin };
}

function clientHead(capabilities: number): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(capabilities, 0);
  head.writeUInt32LE(LARGEST_PACKET, 4);
  head[8] = UTF8MB4_GENERAL_CI;
  return head;
}

function hash(algorithm: 'sha1' | 'sha256', ...parts: readonly (Buffer | string)[]): Buffer {
  const made = createHash(algorithm);
  for (const part of parts) made.update(part);
  return made.digest();
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));
}

function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function withoutZero(bytes: Buffer): Buffer {
  const zero = bytes.indexOf(0);
  return zero < 0 ? bytes : bytes.subarray(0, zero);
}
