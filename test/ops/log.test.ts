/** A log line never holds a secret and can always be read back. */
import { describe, expect, test } from 'vitest';
import { createLog } from '../../src/ops/log.ts';
import type { Log } from '../../config/runtime.ts';

function capture(format: 'json' | 'text', level: 'debug' | 'info' = 'info'): { log: Log; lines: string[] } {
  const lines: string[] = [];
  return { lines, log: createLog({ level, format, now: () => 0, write: (line) => lines.push(line) }) };
}

describe('log', () => {
  test('writes one JSON object per line with its fields and those of its parents', () => {
    const { log, lines } = capture('json');
    log.child({ worker: 3 }).info('table moved', { table: 'public.orders', lsn: 12345678901234567890n, multiline: 'a\nb' });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('\n')).toBe(true);
    expect(JSON.parse(lines[0] ?? '')).toEqual({ worker: 3, table: 'public.orders', lsn: '12345678901234567890', multiline: 'a\nb', time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'table moved' });
  });

  test('leaves out what is below its level', () => {
    const { log, lines } = capture('text');
    log.debug('no');
    log.warn('yes');
    expect(lines).toEqual(['00:00:00.000 WARN  yes\n']);
  });

  test.each(['json', 'text'] as const)('as %s, never shows a secret', (format) => {
    const { log, lines } = capture(format);
    const secret = 'hunter2';
    log.child({ address: { host: 'h', user: 'u', password: secret } }).info(`connecting to postgres://u:${secret}@h/d`, {
      users: [{ name: 'a', verifier: `SCRAM-SHA-256$4096:${secret}` }], credentials: secret, ssl: { key: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`, privateKey: secret },
      url: `postgres://u:${secret}@h/d`, statement: `CREATE USER MAPPING FOR u SERVER s OPTIONS (user 'u', password '${secret}')`,
      error: Object.assign(new Error(`cannot reach postgres://u:${secret}@h/d`), { detail: `ALTER USER u PASSWORD '${secret}'`, code: '28P01' }),
    });
    expect(lines.join('')).not.toContain(secret);
    expect(lines.join('')).toContain('28P01');
  });

  test('values that JSON cannot hold do not throw', () => {
    const { log, lines } = capture('json');
    const cycle: Record<string, unknown> = { name: 'cycle' };
    cycle['self'] = cycle;
    log.error('x', { cycle, date: new Date(Number.NaN), bytes: Buffer.alloc(9), fn: () => 1, missing: undefined, nan: Number.NaN, error: new Error('a', { cause: new Error('b') }) });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ date: null, bytes: '<9 bytes>', error: { text: 'a', cause: { text: 'b' } } });
  });
});
