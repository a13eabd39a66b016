/**
 * Secrets at rest: AES-256-GCM with a random 96-bit nonce per value (NIST SP 800-38D §8.2.2), bound to what they belong to by
 * additional data, so that a sealed value copied to another server or user does not open.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { inspect } from 'node:util';
import { MigrationError } from '../config/migration-error.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MASK = '********';

/** A value that no log, JSON or error text shows; `reveal` is the only way to it. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/** A key and its short id; the id is stored with each sealed value, so that a wrong key is told from a damaged value. */
export interface CredentialKey {
  readonly id: string;
  readonly bytes: Secret;
}

export function credentialKey(bytes: Buffer): CredentialKey {
  if (bytes.length !== KEY_BYTES) throw new RangeError(`a credential key has ${KEY_BYTES} bytes, not ${bytes.length}`);
  const id = createHash('sha256').update('credential key id').update(bytes).digest('hex').slice(0, 8);
  return { id, bytes: new Secret(bytes.toString('base64')) };
}

export function newKey(): CredentialKey {
  return credentialKey(randomBytes(KEY_BYTES));
}

/**
 * Reads the key file (base64 of 32 bytes), or makes one with mode 0600. Of two processes that make it at once, both get the same key.
 * Throws MIG003 when the file can be read by others or is not a key.
 */
export function loadOrCreateKey(file: string): CredentialKey {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  if (!fs.existsSync(file)) createKeyFile(file);
  const mode = fs.statSync(file).mode & 0o077;
  if (mode !== 0) {
    throw new MigrationError('MIG003', `key file ${file} can be read by others`, { hint: `Run: chmod 600 ${file}` });
  }
  return parseKeyFile(file);
}

/** Replaces the key file whole; the old key stays beside it as `FILE.old` until the caller has re-encrypted everything. */
export function writeKeyFile(file: string, key: CredentialKey): void {
  const fresh = `${file}.new`;
  writeDurably(fresh, key);
  if (fs.existsSync(file)) {
    fs.rmSync(`${file}.old`, { force: true });
    fs.linkSync(file, `${file}.old`);
  }
  fs.renameSync(fresh, file);
  syncDirectory(file);
}

function createKeyFile(file: string): void {
  const fresh = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeDurably(fresh, newKey());
  try {
    // `link` fails when another process was first; its key is then the key.
    fs.linkSync(fresh, file);
    syncDirectory(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    fs.rmSync(fresh, { force: true });
  }
}

function writeDurably(file: string, key: CredentialKey): void {
  fs.rmSync(file, { force: true });
  const handle = fs.openSync(file, 'wx', 0o600);
  try {
    fs.writeSync(handle, `${key.bytes.reveal()}\n`);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

/** Without it a crash may lose the name of a key with which credentials have already been sealed. */
function syncDirectory(file: string): void {
  const handle = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}

function parseKeyFile(file: string): CredentialKey {
  const bytes = Buffer.from(fs.readFileSync(file, 'utf8').trim(), 'base64');
  if (bytes.length !== KEY_BYTES) {
    throw new MigrationError('MIG003', `key file ${file} does not hold a key`, { detail: `Expected the base64 text of ${KEY_BYTES} bytes.`, hint: 'Restore the file from its backup; without it stored passwords have to be given again.' });
  }
  return credentialKey(bytes);
}

/** What a sealed value belongs to. */
export interface SecretOwner {
  readonly serverName: string;
  readonly userName: string;
  readonly option: string;
}

/** `v1.<key id>.<base64 of nonce, tag, ciphertext>`. */
export function seal(key: CredentialKey, owner: SecretOwner, value: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key.bytes.reveal(), 'base64'), nonce);
  cipher.setAAD(additionalData(owner));
  const body = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()]);
  return `v1.${key.id}.${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')}`;
}

/** Throws MIG003 when the key is another one, or the value was changed or moved; the value is in no message. */
export function unseal(key: CredentialKey, owner: SecretOwner, sealed: string): Secret {
  const [version, keyId, body] = sealed.split('.');
  if (version !== 'v1' || keyId === undefined || body === undefined) throw unreadable(owner, 'It is not in a known format.');
  if (keyId !== key.id) throw unreadable(owner, `It was encrypted with key ${keyId}, the present key is ${key.id}.`);
  const bytes = Buffer.from(body, 'base64');
  try {
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key.bytes.reveal(), 'base64'), bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(additionalData(owner));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    return new Secret(decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8'));
  } catch {
    throw unreadable(owner, 'It was changed or belongs to another server or user.');
  }
}

function unreadable(owner: SecretOwner, detail: string): MigrationError {
  return new MigrationError('MIG003', `stored ${owner.option} of user "${owner.userName}" on server "${owner.serverName}" cannot be decrypted`, {
    detail, hint: 'Restore the key file from its backup, or give the value again with ALTER USER MAPPING.',
  });
}

/** Length-prefixed, so that no two owners share one encoding. */
function additionalData(owner: SecretOwner): Buffer {
  const parts = [owner.serverName, owner.userName, owner.option];
  return Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(','), 'utf8');
}

/** Options of a server or a user mapping that are stored encrypted and shown masked. */
export const secretOptions: readonly string[] = ['password', 'sslpassword', 'sslkey'];
