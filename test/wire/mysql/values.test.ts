/** Property: what one end writes the other reads, of every kind of packet and value. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAuthSwitch, makeNonce, writeAuthSwitch } from '../../../src/wire/mysql/auth-packets.ts';
import { readBinaryRow, writeBinaryRow } from '../../../src/wire/mysql/binary-row.ts';
import { shortestFloat } from '../../../src/wire/mysql/binary-value.ts';
import { decryptPassword, encryptPassword, fastAnswer, makePasswordKey, provesRemembered, remembered } from '../../../src/wire/mysql/caching-sha2-password.ts';
import { Capability, passable } from '../../../src/wire/mysql/capabilities.ts';
import { ColumnFlag, ColumnType, readColumnDefinition, writeColumnDefinition } from '../../../src/wire/mysql/column-definition.ts';
import { readMysqlError, writeMysqlError } from '../../../src/wire/mysql/error-packet.ts';
import { readGreeting, writeGreeting } from '../../../src/wire/mysql/greeting.ts';
import { readChangeUser, readConnectionTraits, readHandshakeResponse, SSL_REQUEST_BYTES, writeChangeUser, writeHandshakeResponse, writeSslRequest } from '../../../src/wire/mysql/handshake-response.ts';
import { nativeAnswer, parseNativeHash, provesNative } from '../../../src/wire/mysql/native-password.ts';
import { readOk, writeOk } from '../../../src/wire/mysql/ok-packet.ts';
import { lengthEncoded, lengthEncodedText, PayloadReader, ProtocolFault } from '../../../src/wire/mysql/payload.ts';
import { readExecute, writeExecute } from '../../../src/wire/mysql/statement-packets.ts';
import { readTextRow, writeTextRow } from '../../../src/wire/mysql/text-row.ts';

describe('lengths', () => {
  test.each([0, 250, 251, 65_535, 65_536, 0xffffff, 0x1000000, Number.MAX_SAFE_INTEGER])('%i', (value) => {
    const written = lengthEncoded(value);
    const reader = new PayloadReader(written);
    expect(reader.lengthEncoded()).toBe(value);
    expect(reader.left).toBe(0);
  });

  test('what is cut off is a fault', () => {
    for (const value of [300, 70_000, 2 ** 30]) for (let cut = 0; cut < lengthEncoded(value).length; cut += 1) expect(() => new PayloadReader(lengthEncoded(value).subarray(0, cut)).lengthEncoded()).toThrow(ProtocolFault);
    expect(() => new PayloadReader(Buffer.of(0xff)).lengthEncoded()).toThrow(ProtocolFault);
    expect(() => new PayloadReader(Buffer.of(5, 1)).text()).toThrow(ProtocolFault);
  });
});

const nonce = makeNonce();

test('greeting', () => {
  const greeting = { version: '5.5.5-10.11.19-MariaDB', connectionId: 0xfffffffe, nonce, capabilities: { flags: (passable.flags & ~1) | Capability.ssl, mariadb: 0x19 }, collation: 45, status: 2, plugin: 'caching_sha2_password' };
  expect(readGreeting(writeGreeting(greeting))).toEqual(greeting);
});

describe('handshake response', () => {
  const attributes = Buffer.concat([lengthEncodedText('_client_name'), lengthEncodedText('x')]);
  const full = { capabilities: { flags: passable.flags, mariadb: 0 }, maxPacketBytes: 1 << 24, collation: 45, user: 'jürgen', authResponse: Buffer.from('abc'), database: 'shop', plugin: 'mysql_native_password', attributes };

  test('whole', () => {
    expect(readHandshakeResponse(writeHandshakeResponse(full))).toEqual(full);
  });

  test('of a client of MariaDB, without database and attributes', () => {
    const flags = Capability.protocol41 | Capability.secureConnection | Capability.pluginAuth;
    const bare = { ...full, capabilities: { flags, mariadb: 9 }, database: undefined, attributes: undefined };
    expect(readHandshakeResponse(writeHandshakeResponse(bare))).toEqual(bare);
  });

  test('cut anywhere it is a fault, or shorter', () => {
    const written = writeHandshakeResponse(full);
    for (let cut = 0; cut < SSL_REQUEST_BYTES + 8; cut += 1) expect(() => readHandshakeResponse(written.subarray(0, cut))).toThrow(ProtocolFault);
  });

  test('TLS request', () => {
    const traits = { capabilities: { flags: Capability.ssl | Capability.protocol41, mariadb: 1 }, maxPacketBytes: 5, collation: 33 };
    expect(readConnectionTraits(writeSslRequest(traits))).toEqual(traits);
    expect(writeSslRequest(traits)).toHaveLength(SSL_REQUEST_BYTES);
  });

  test('another user', () => {
    const { capabilities, maxPacketBytes: _, ...change } = full;
    expect(readChangeUser(writeChangeUser(change, capabilities), capabilities)).toEqual(change);
  });
});

describe('passwords', () => {
  test('native', () => {
    const hash = parseNativeHash('*54958E764CE10E50764C2EECBB71D01F08549980') ?? Buffer.alloc(0);
    expect(provesNative(hash, nonce, nativeAnswer('mariadb', nonce))).toBe(true);
    expect(provesNative(hash, nonce, nativeAnswer('mariadc', nonce))).toBe(false);
    expect(provesNative(hash, makeNonce(), nativeAnswer('mariadb', nonce))).toBe(false);
    expect(parseNativeHash('54958E764CE10E50764C2EECBB71D01F08549980')).toBeUndefined();
  });

  test('caching_sha2, fast', () => {
    expect(provesRemembered(remembered('ä'), nonce, fastAnswer('ä', nonce))).toBe(true);
    expect(provesRemembered(remembered('ä'), nonce, fastAnswer('a', nonce))).toBe(false);
    expect(provesRemembered(remembered('ä'), nonce, Buffer.alloc(3))).toBe(false);
  });

  test('caching_sha2, encrypted', async () => {
    const key = await makePasswordKey();
    expect(decryptPassword(encryptPassword('long '.repeat(20), nonce, key.publicPem), nonce, key)).toBe('long '.repeat(20));
    expect(decryptPassword(Buffer.alloc(256, 7), nonce, key)).toBeUndefined();
  });

  test('nonces have no zero and no end of a text in them', () => {
    for (let turn = 0; turn < 200; turn += 1) expect(makeNonce().every((byte) => byte > 36 && byte < 127)).toBe(true);
  });

  test('switch', () => {
    expect(readAuthSwitch(writeAuthSwitch('mysql_native_password', nonce))).toEqual({ plugin: 'mysql_native_password', nonce });
    expect(readAuthSwitch(Buffer.of(0xfe)).plugin).toBe('mysql_old_password');
  });
});

test('OK with what a server tracks', () => {
  const capabilities = { flags: Capability.sessionTrack, mariadb: 0 };
  const changes = Buffer.concat([
    Buffer.of(0), lengthEncodedText(Buffer.concat([lengthEncodedText('autocommit'), lengthEncodedText('OFF')])),
    Buffer.of(1), lengthEncodedText(lengthEncodedText('shop')), Buffer.of(2), lengthEncodedText('1'),
  ]);
  const written = Buffer.concat([Buffer.of(0, 3, 0xfc, 0, 1), Buffer.of(0x02, 0x40), Buffer.of(1, 0), lengthEncodedText('hello'), lengthEncodedText(changes)]);
  expect(readOk(written, capabilities)).toEqual({
    affectedRows: 3, lastInsertId: 256, status: 0x4002, warnings: 1, info: 'hello',
    changes: [{ type: 'variable', name: 'autocommit', value: 'OFF' }, { type: 'database', name: 'shop' }, { type: 'other', kind: 2, data: Buffer.from('1') }],
  });
  expect(readOk(writeOk({ status: 3, affectedRows: 2n ** 33n, warnings: 7, info: 'x' }, capabilities), capabilities)).toEqual({ affectedRows: 2 ** 33, lastInsertId: 0, status: 3, warnings: 7, info: 'x', changes: [] });
});

test('errors', () => {
  const error = { code: 1062, sqlstate: '23000', message: 'Duplicate entry ✓' };
  expect(readMysqlError(writeMysqlError(error))).toEqual(error);
  expect(readMysqlError(writeMysqlError(error, true))).toEqual({ ...error, sqlstate: 'HY000' });
});

test('columns', () => {
  const column = { schema: 's', table: 't', originalTable: 'u', name: 'ä', originalName: 'b', collation: 255, length: 2 ** 32 - 1, type: 245, flags: 0x1021, decimals: 31 };
  expect(readColumnDefinition(writeColumnDefinition(column))).toEqual(column);
});

test('text rows', () => {
  fc.assert(fc.property(fc.array(fc.option(fc.uint8Array({ maxLength: 400 }))), (values) => {
    const given = values.map((value) => value && Buffer.from(value));
    expect(readTextRow(writeTextRow(given))).toEqual(given);
  }));
});

const samples: readonly (readonly [type: number, isUnsigned: boolean, texts: readonly string[]])[] = [
  [ColumnType.tiny, false, ['-128', '127', '0']], [ColumnType.tiny, true, ['255', '128']],
  [ColumnType.short, false, ['-32768', '32767']], [ColumnType.short, true, ['65535']], [ColumnType.year, true, ['0', '2155']],
  [ColumnType.long, false, ['-2147483648', '2147483647']], [ColumnType.long, true, ['4294967295']], [ColumnType.int24, false, ['-8388608']],
  [ColumnType.longLong, false, ['-9223372036854775808', '9223372036854775807']], [ColumnType.longLong, true, ['18446744073709551615']],
  [ColumnType.float, false, ['1.1', '-3.4028235e+38', '16777216', '0.1']], [ColumnType.double, false, ['0.1', '1.7976931348623157e+308', '-5e-324', '-0']],
  [ColumnType.newDecimal, false, ['-12345678901234567890.0123456789']],
  [ColumnType.date, false, ['2024-02-29', '0000-00-00', '9999-12-31']],
  [ColumnType.dateTime, false, ['2024-02-29 23:59:59.000001', '2024-02-29 00:00:00', '0000-00-00 00:00:00', '1999-01-01 10:00:00']],
  [ColumnType.timestamp, false, ['2038-01-19 03:14:07']],
  [ColumnType.time, false, ['-838:59:59', '00:00:00', '838:59:59', '-00:00:01.500000', '24:00:00']],
  [ColumnType.varString, false, ['', 'ä'.repeat(200)]], [ColumnType.json, false, ['{"a": 1}']],
];

test('binary rows, of all types', () => {
  for (const [type, isUnsigned, texts] of samples) {
    for (const text of texts) {
      const columns = [{ type, flags: isUnsigned ? ColumnFlag.unsigned : 0 }, { type: ColumnType.long, flags: 0 }];
      const read = readBinaryRow(writeBinaryRow([text, null], [type, ColumnType.long]), columns);
      expect([String(read[0]), read[1]], `${type}`).toEqual([text, null]);
    }
  }
});

test('a float is the shortest text that reads back', () => {
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
    expect(Math.fround(Number(shortestFloat(value)))).toBe(value);
  }));
  expect(shortestFloat(Math.fround(3.14))).toBe('3.14');
});

test('parameters of an execution, of all types', () => {
  const types = samples.map(([type, isUnsigned]) => ({ type, isUnsigned }));
  const values = samples.map(([, , [text = '']], index) => (index % 5 === 4 ? null : text));
  const execute = { statementId: 9, cursor: 1, types, values };
  const read = readExecute(writeExecute(execute), values.length, undefined, () => false);
  expect({ ...read, values: read.values.map((value) => (Buffer.isBuffer(value) ? value.toString() : value)) }).toEqual(execute);
  // As a client sends it again: with the types of before, and a value that has come by itself.
  const again = readExecute(writeExecute({ ...execute, types: undefined, values: [] }), 0, types, () => false);
  expect(again).toEqual({ statementId: 9, cursor: 1, types: undefined, values: [] });
  const second = writeExecute({ statementId: 9, cursor: 0, types: [{ type: ColumnType.blob, isUnsigned: false }, { type: ColumnType.tiny, isUnsigned: false }], values: [undefined, '5'] });
  expect(readExecute(second, 2, undefined, (index) => index === 0).values).toEqual([undefined, '5']);
});

test('what a client must not send is a fault', () => {
  for (const bytes of [[23, 1, 0, 0], [23, 1, 0, 0, 0, 0, 1, 0, 0, 0], [23, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 12, 0, 5]]) expect(() => readExecute(Buffer.from(bytes), 1, undefined, () => false)).toThrow(ProtocolFault);
});
