/** What a statement of XA says, and what its branch is called on local. https://dev.mysql.com/doc/refman/8.4/en/xa-statements.html */

export interface Xid {
  readonly gtrid: Buffer;
  readonly bqual: Buffer;
  readonly format: number;
}

export type XaWord =
  | { readonly type: 'start' | 'end' | 'prepare' | 'rollback'; readonly xid: Xid }
  | { readonly type: 'commit'; readonly xid: Xid; readonly onePhase: boolean }
  /** In which form the data of a branch is asked for. */
  | { readonly type: 'recover'; readonly form: 'raw' | 'hex' | 'sql' };

const literal = String.raw`('(?:[^'\\]|'')*'|"(?:[^"\\]|"")*"|x'(?:[0-9a-f]{2})*'|0x(?:[0-9a-f]{2})+)`;
const branch = new RegExp(String.raw`^xa\s+(start|begin|end|prepare|commit|rollback)\s+${literal}(?:\s*,\s*${literal}(?:\s*,\s*(\d{1,10}|0x[0-9a-f]{1,8}))?)?\s*(one\s+phase)?\s*;?\s*$`, 'i');
const recover = /^xa\s+recover(?:\s+(convert\s+xid)|\s+format\s*=\s*'(raw|sql)')?\s*;?\s*$/i;

/** Of a text without comments before it. Undefined: it is none of these, or spelled in a way that is not read here. */
export function xaWord(text: string): XaWord | undefined {
  const [asked, converted, form] = recover.exec(text) ?? [];
  if (asked !== undefined) return { type: 'recover', form: converted !== undefined ? 'hex' : form?.toLowerCase() === 'sql' ? 'sql' : 'raw' };
  const [, verb = '', gtrid = '', bqual = "''", format = '1', phase] = branch.exec(text) ?? [];
  const xid = xidOf(gtrid, bqual, format);
  if (!xid) return undefined;
  switch (verb.toLowerCase()) {
    case 'start': case 'begin': return phase === undefined ? { type: 'start', xid } : undefined;
    case 'end': return { type: 'end', xid };
    case 'prepare': return { type: 'prepare', xid };
    case 'rollback': return { type: 'rollback', xid };
    default: return { type: 'commit', xid, onePhase: phase !== undefined };
  }
}

function xidOf(gtrid: string, bqual: string, format: string): Xid | undefined {
  const [first, second] = [bytesOf(gtrid), bytesOf(bqual)];
  return first === undefined || first.length === 0 || first.length > 64 || second === undefined || second.length > 64 ? undefined : { gtrid: first, bqual: second, format: Number(format) };
}

/** Letters outside ASCII are bytes of a character set that is the session's own matter. */
function bytesOf(written: string): Buffer | undefined {
  if (/^0x/i.test(written)) return Buffer.from(written.slice(2), 'hex');
  if (/^x'/i.test(written)) return Buffer.from(written.slice(2, -1), 'hex');
  const quote = written[0] ?? '';
  const text = written.slice(1, -1).replaceAll(quote + quote, quote);
  return quote !== '' && /^[\x20-\x7e]*$/.test(text) ? Buffer.from(text, 'latin1') : undefined;
}

/** As XA statements take it. */
export function xidSql({ gtrid, bqual, format }: Xid): string {
  return `X'${gtrid.toString('hex')}',X'${bqual.toString('hex')}',${format}`;
}

export const GID_PREFIX = 'causeway_xa:';

/** Of the prepared transaction on local: 191 bytes at the most, of the 199 that PostgreSQL takes. */
export function gidOf({ gtrid, bqual, format }: Xid): string {
  return `${GID_PREFIX}${format}:${gtrid.toString('base64url')}:${bqual.toString('base64url')}`;
}

export function xidOfGid(gid: string): Xid | undefined {
  const [, format, gtrid, bqual] = /^causeway_xa:(\d+):([\w-]+):([\w-]*)$/.exec(gid) ?? [];
  return format === undefined || gtrid === undefined ? undefined : { gtrid: Buffer.from(gtrid, 'base64url'), bqual: Buffer.from(bqual ?? '', 'base64url'), format: Number(format) };
}

/** A row of XA RECOVER. */
export function recoveredRow(xid: Xid, form: 'raw' | 'hex' | 'sql'): readonly (string | Buffer)[] {
  const { gtrid, bqual, format } = xid;
  const data = Buffer.concat([gtrid, bqual]);
  return [String(format), String(gtrid.length), String(bqual.length), form === 'raw' ? data : form === 'hex' ? `0x${data.toString('hex').toUpperCase()}` : xidSql(xid)];
}
