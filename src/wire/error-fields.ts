/** ErrorResponse and NoticeResponse: https://www.postgresql.org/docs/current/protocol-error-fields.html */
import { cstring, endOfString, message } from './message.ts';

export type Severity = 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'DEBUG' | 'INFO' | 'LOG';

export interface ErrorFields {
  readonly severity: Severity;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** 1-based, in characters. */
  readonly position?: number | undefined;
  readonly internalPosition?: number | undefined;
  readonly internalQuery?: string | undefined;
  readonly where?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly dataType?: string | undefined;
  readonly constraint?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly routine?: string | undefined;
}

type FieldName = Exclude<keyof ErrorFields, 'severity'>;

const fieldCodes: readonly (readonly [string, FieldName])[] = [
  ['C', 'sqlstate'], ['M', 'message'], ['D', 'detail'], ['H', 'hint'], ['P', 'position'], ['p', 'internalPosition'], ['q', 'internalQuery'],
  ['W', 'where'], ['s', 'schema'], ['t', 'table'], ['c', 'column'], ['d', 'dataType'], ['n', 'constraint'], ['F', 'file'], ['L', 'line'], ['R', 'routine'],
];

function body(fields: ErrorFields): Buffer[] {
  // S may be translated by a server, V never is; here they are the same.
  const parts = [cstring(`S${fields.severity}`), cstring(`V${fields.severity}`)];
  for (const [code, name] of fieldCodes) {
    const value = fields[name];
    if (value !== undefined) parts.push(cstring(`${code}${value}`));
  }
  parts.push(Buffer.from([0]));
  return parts;
}

export function writeError(fields: ErrorFields): Buffer {
  return message('E', ...body(fields));
}

export function writeNotice(fields: ErrorFields): Buffer {
  return message('N', ...body(fields));
}

/** Reads the fields of a message whose header stands at `start`: code letter → value. */
export function readErrorFields(buffer: Buffer, start: number, length: number): Map<string, string> {
  const fields = new Map<string, string>();
  const end = start + length;
  let at = start + 5;
  while (at < end && buffer[at] !== 0) {
    const zero = endOfString(buffer, at + 1, end);
    if (zero < 0) break;
    fields.set(String.fromCharCode(buffer[at] ?? 0), buffer.toString('utf8', at + 1, zero));
    at = zero + 1;
  }
  return fields;
}

/** The message whose header stands at `start`, with other values of fields that it has. */
export function rewriteError(buffer: Buffer, start: number, length: number, values: ReadonlyMap<string, string>): Buffer {
  const parts = [...readErrorFields(buffer, start, length)].map(([code, value]) => cstring(`${code}${values.get(code) ?? value}`));
  return message(String.fromCharCode(buffer[start] ?? 0), ...parts, Buffer.from([0]));
}
