/**
 * The product's log: one JSON object per line on standard error, or a line for people when that is a terminal.
 *
 * Values behind keys that name secrets are never written, however deep they are; errors are written with their code, message and
 * stack. A line is written with one synchronous call, so that the last words of a process that dies are not lost.
 */
import * as fs from 'node:fs';
import * as tty from 'node:tty';
import type { Log, LogFields } from '../../config/runtime.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  readonly level: LogLevel;
  /** `auto`: text on a terminal, else JSON. */
  readonly format: 'auto' | 'json' | 'text';
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Takes one line with its line end; default: standard error. */
  readonly write?: (line: string) => void;
}

const severity: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const STANDARD_ERROR = 2;
const MAX_DEPTH = 6;
const MAX_TEXT = 4000;

export function createLog(options: LogOptions, bound: LogFields = {}): Log {
  const write = options.write ?? writeToStandardError;
  const format = options.format === 'auto' ? (tty.isatty(STANDARD_ERROR) ? textLine : jsonLine) : options.format === 'json' ? jsonLine : textLine;
  const at = (level: LogLevel) => (message: string, fields: LogFields = {}): void => {
    if (severity[level] < severity[options.level]) return;
    write(`${format({ time: new Date(options.now()).toISOString(), level, message: maskText(message), fields: redact({ ...bound, ...fields }) })}\n`);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (fields) => createLog(options, { ...bound, ...fields }) };
}

interface Entry {
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

function jsonLine({ time, level, message, fields }: Entry): string {
  return JSON.stringify({ ...fields, time, level, message });
}

function textLine({ time, level, message, fields }: Entry): string {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`);
  return `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${message.replaceAll('\n', ' ')}${pairs.join('')}`;
}

const secretName = /pass(word|wd|phrase)|secret|verifier|credential|private_?key|^authorization$/i;

/** A copy that can be written: secrets masked, errors and big integers as text, cycles and deep values cut. */
export function redact(fields: LogFields): LogFields {
  return redactValue(fields, 0) as LogFields;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return maskText(value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}… (${value.length} characters)` : value);
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '…';
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redactValue(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, secretName.test(name) && item !== undefined ? '***' : redactValue(item, depth + 1)]));
}

/** Secrets inside text: connection URLs, passwords in statements and option lists, private keys. */
function maskText(text: string): string {
  return text
    .replace(/(\w+:\/\/[^\s:/@]+:)[^\s@]+@/g, '$1***@')
    .replace(/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^-]*/g, '-----BEGIN $1-----***')
    .replace(/(password\s*(?:=|\s)\s*)(E?'(?:[^']|'')*'|"[^"]*")/gi, "$1'***'");
}

function describeError(error: Error, depth: number): LogFields {
  const { code, detail, hint } = error as Error & { code?: unknown; detail?: unknown; hint?: unknown };
  const described = { name: error.name, code, text: error.message, detail, hint, stack: error.stack, cause: error.cause };
  return redactValue(described, depth + 1) as LogFields;
}

function writeToStandardError(line: string): void {
  try {
    fs.writeSync(STANDARD_ERROR, line);
  } catch {
    // A full pipe (EAGAIN) or a closed one must not end the process: the line is lost.
  }
}
