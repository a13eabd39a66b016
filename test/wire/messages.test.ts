/** Property: what is written is read back the same, and what cannot be read is refused, never misread. */
import fc from 'fast-check';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { commandComplete, dataRow, isOnlyColumn, readDataRow, readParameterStatus, readTag, rowDescription } from '../../src/wire/backend-messages.ts';
import { readErrorFields, writeError, writeNotice } from '../../src/wire/error-fields.ts';
import { extendQuery, parse, query, readParse } from '../../src/wire/frontend-messages.ts';
import { md5Password } from '../../src/wire/md5-password.ts';
import { cstring, message } from '../../src/wire/message.ts';
import { ScramClient, ScramServer, makeScramVerifier, mockVerifier, parseScramVerifier } from '../../src/wire/scram.ts';
import { readStartupPacket, writeCancelRequest, writeSslRequest, writeStartup } from '../../src/wire/startup-packet.ts';

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));

describe('messages', () => {
  it('rows, descriptions and tags', () => {
    fc.assert(fc.property(fc.array(fc.option(text), { maxLength: 5 }), (values) => {
      expect(readDataRow(dataRow(values), 0)).toEqual(values);
    }));
    expect(readTag(commandComplete('INSERT 0 1'), 0, 16)).toBe('INSERT 0 1');
    const described = rowDescription([{ name: 'nonce', typeOid: 25 }]);
    expect(isOnlyColumn(described, 0, described.length, Buffer.from('nonce'))).toBe(true);
    expect(isOnlyColumn(described, 0, described.length, Buffer.from('nonc'))).toBe(false);
    expect(isOnlyColumn(rowDescription([{ name: 'nonce', typeOid: 25 }, { name: 'b', typeOid: 25 }]), 0, 60, Buffer.from('nonce'))).toBe(false);
    expect(readParameterStatus(message('S', cstring('TimeZone'), cstring('UTC')), 0, 18)).toEqual(['TimeZone', 'UTC']);
  });

  it('error fields, every one of them', () => {
    const fields = { severity: 'ERROR', sqlstate: '23505', message: 'm', detail: 'd', hint: 'h', position: 3, internalPosition: 4, internalQuery: 'q', where: 'w', schema: 's', table: 't', column: 'c', dataType: 'dt', constraint: 'n', file: 'f', line: 9, routine: 'r' } as const;
    const bytes = writeError(fields);
    expect(Object.fromEntries(readErrorFields(bytes, 0, bytes.length))).toEqual({ S: 'ERROR', V: 'ERROR', C: '23505', M: 'm', D: 'd', H: 'h', P: '3', p: '4', q: 'q', W: 'w', s: 's', t: 't', c: 'c', d: 'dt', n: 'n', F: 'f', L: '9', R: 'r' });
    expect(String.fromCharCode(writeNotice({ ...fields, severity: 'NOTICE' })[0] ?? 0)).toBe('N');
  });

  it('Parse and Query', () => {
    fc.assert(fc.property(text, text, (name, sql) => {
      const bytes = parse(name, sql);
      const parts = readParse(bytes, 0, bytes.length);
      expect(parts?.name).toBe(name);
      expect(bytes.toString('utf8', parts?.textStart, parts?.textEnd)).toBe(sql);
      const shifted = Buffer.concat([Buffer.from('junk'), query(sql), Buffer.from('junk')]);
      expect(extendQuery(shifted, 4, query(sql).length, Buffer.from('\n;SELECT 2'))).toEqual(query(`${sql}\n;SELECT 2`));
    }));
    expect(readParse(message('P', Buffer.from('no zero')), 0, 12)).toBeUndefined();
  });
});

describe('start-up packets', () => {
  it('round trip, and wait for their last byte', () => {
    fc.assert(fc.property(fc.dictionary(text.filter((name) => name !== '' && Buffer.byteLength(name) < 50), text, { maxKeys: 4 }), (parameters) => {
      const bytes = writeStartup(Object.entries(parameters));
      expect(readStartupPacket(bytes.subarray(0, bytes.length - 1))).toBeUndefined();
      expect(readStartupPacket(bytes)).toEqual({ packet: { type: 'startup', minorVersion: 0, parameters: new Map(Object.entries(parameters)) }, length: bytes.length });
    }));
    expect(readStartupPacket(writeSslRequest())?.packet.type).toBe('ssl_request');
    expect(readStartupPacket(writeCancelRequest(7, Buffer.from([1, 2, 3, 4])))?.packet).toEqual({ type: 'cancel', pid: 7, key: Buffer.from([1, 2, 3, 4]) });
  });

  it('refuse what no client sends', () => {
    const length = (value: number): Buffer => Buffer.from([value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);
    expect(readStartupPacket(length(10_001))?.packet).toMatchObject({ type: 'bad', sqlstate: '08P01' });
    expect(readStartupPacket(length(7))?.packet).toMatchObject({ type: 'bad' });
    expect(readStartupPacket(Buffer.concat([length(8), Buffer.from([0, 2, 0, 0])]))?.packet).toMatchObject({ type: 'bad', sqlstate: '0A000' });
    expect(readStartupPacket(Buffer.concat([length(12), Buffer.from([0, 3, 0, 0]), Buffer.from('user')]))?.packet).toMatchObject({ type: 'bad', sqlstate: '08P01' });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      readStartupPacket(Buffer.from(bytes));
    }));
  });
});

describe('SCRAM', () => {
  const exchange = async (verifier: string, password: string): Promise<{ server: boolean; client: boolean }> => {
    const parsed = parseScramVerifier(verifier);
    if (!parsed) throw new Error('bad verifier');
    const server = new ScramServer(parsed);
    const client = new ScramClient(password);
    const first = server.first(client.first());
    if (!first.ok) throw new Error('first');
    const reply = await new Promise<string | undefined>((resolve) => client.final(first.reply, resolve));
    const final = server.final(reply ?? '');
    return { server: final.ok, client: final.ok && client.verify(final.reply) };
  };

  it('lets the right password in, and no other', async () => {
    for (const password of ['pencil', 'naïve café', 'a\u00a0b', '']) {
      const verifier = makeScramVerifier(password);
      expect(await exchange(verifier, password)).toEqual({ server: true, client: true });
      expect(await exchange(verifier, `${password}x`)).toEqual({ server: false, client: false });
    }
  });

  it('agrees with the example of RFC 7677', () => {
    const verifier = parseScramVerifier(makeScramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096));
    if (!verifier) throw new Error('bad verifier');
    const server = new ScramServer(verifier, { binds: false, random: () => Buffer.from('%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0') });
    const first = server.first('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
    expect(first.ok).toBe(true);
    // The RFC's server nonce is not base64; the key material is checked through the stored keys.
    expect(verifier.storedKey.toString('base64')).toBe('WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=');
    expect(verifier.serverKey.toString('base64')).toBe('wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=');
  });

  it('agrees with another implementation', async () => {
    const sasl = createRequire(import.meta.url)('pg/lib/crypto/sasl') as {
      startSession(mechanisms: string[]): { response: string };
      continueSession(session: object, password: string, data: string): Promise<void>;
      finalizeSession(session: object, data: string): void;
    };
    const session = sasl.startSession(['SCRAM-SHA-256']);
    const verifier = parseScramVerifier(makeScramVerifier('secret'));
    if (!verifier) throw new Error('bad verifier');
    const server = new ScramServer(verifier);
    const first = server.first(session.response);
    await sasl.continueSession(session, 'secret', first.ok ? first.reply : '');
    const final = server.final(session.response);
    expect(final.ok).toBe(true);
    sasl.finalizeSession(session, final.ok ? final.reply : '');
  });

  it('refuses malformed messages, and gives an unknown user the same challenge each time', () => {
    const secret = Buffer.alloc(32, 1);
    expect(mockVerifier('who', secret).salt).toEqual(mockVerifier('who', secret).salt);
    expect(mockVerifier('who', secret).salt).not.toEqual(mockVerifier('else', secret).salt);
    const server = new ScramServer(mockVerifier('who', secret));
    for (const bad of ['', 'n,,', 'p=tls-unique,,n=,r=abc', 'n,,m=x,n=,r=abc']) expect(server.first(bad)).toEqual({ ok: false, fault: 'protocol' });
    expect(server.first('n,,n=,r=abc').ok).toBe(true);
    for (const bad of ['', 'c=biws,r=abc,p=AAAA', 'x']) expect(server.final(bad)).toEqual({ ok: false, fault: 'protocol' });
    for (const bad of ['', 'md5abc', 'SCRAM-SHA-256$0:AA==$AA==:AA==']) expect(parseScramVerifier(bad)).toBeUndefined();
  });
});

it('md5 as the server expects it', () => {
  expect(md5Password('postgres', 'secret', Buffer.from([1, 2, 3, 4]))).toMatch(/^md5[0-9a-f]{32}$/);
});
