/** ERROR messages (native_protocol_v4.spec, §9): a code, a text, and for some codes what drivers decide a retry by. */
import { BodyReader } from './body-reader.ts';
import { BodyWriter } from './body-writer.ts';

export const errorCodes = {
  server: 0x0000, protocol: 0x000a, badCredentials: 0x0100, unavailable: 0x1000, overloaded: 0x1001, bootstrapping: 0x1002, truncate: 0x1003,
  writeTimeout: 0x1100, readTimeout: 0x1200, readFailure: 0x1300, functionFailure: 0x1400, writeFailure: 0x1500,
  cdcWriteFailure: 0x1600, casWriteUnknown: 0x1700,
  syntax: 0x2000, unauthorized: 0x2100, invalid: 0x2200, config: 0x2300, alreadyExists: 0x2400, unprepared: 0x2500,
} as const;

/** An error without fields of its own. */
export function errorBody(code: number, message: string): Buffer {
  return new BodyWriter(message.length + 8).int(code).string(message.slice(0, 8000)).done();
}

export function unpreparedBody(message: string, id: Buffer): Buffer {
  return new BodyWriter(message.length + 32).int(errorCodes.unprepared).string(message).shortBytes(id).done();
}

export interface TimeoutFacts {
  readonly consistency: number;
  readonly received: number;
  readonly blockFor: number;
}

export type WriteType = 'SIMPLE' | 'BATCH' | 'UNLOGGED_BATCH' | 'COUNTER' | 'CAS';

export function writeTimeoutBody(message: string, { consistency, received, blockFor }: TimeoutFacts, writeType: WriteType): Buffer {
  return new BodyWriter(message.length + 48).int(errorCodes.writeTimeout).string(message).short(consistency).int(received).int(blockFor).string(writeType).done();
}

export function readTimeoutBody(message: string, { consistency, received, blockFor }: TimeoutFacts): Buffer {
  return new BodyWriter(message.length + 32).int(errorCodes.readTimeout).string(message).short(consistency).int(received).int(blockFor).byte(0).done();
}

/** Code of an ERROR whose message begins there. */
export function errorCodeAt(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at);
}

export interface ServerError {
  readonly code: number;
  readonly message: string;
  /** Of UNPREPARED. */
  readonly id?: Buffer;
}

export function readError(buffer: Buffer, start: number, end: number): ServerError {
  const reader = new BodyReader(buffer, start, end);
  const code = reader.int();
  const message = reader.string();
  return code === errorCodes.unprepared ? { code, message, id: reader.shortBytes() } : { code, message };
}

/**
 * Whether a write that was answered so has certainly left nothing behind. Everything else may have been applied, on some replicas at least: a coordinator's
 * timeout, a failure of some replicas, an error of its own in the middle; OVERLOADED comes when some messages may be out.
 */
export function isCleanRefusal(code: number): boolean {
  switch (code) {
    case errorCodes.protocol: case errorCodes.badCredentials: case errorCodes.unavailable: case errorCodes.bootstrapping:
    case errorCodes.syntax: case errorCodes.unauthorized: case errorCodes.invalid: case errorCodes.config: case errorCodes.alreadyExists: case errorCodes.unprepared:
      return true;
    default:
      return false;
  }
}
