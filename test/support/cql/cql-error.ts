/** An error as the mock cluster answers it. https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec §9 */
import { Writer } from './bytes.ts';

export class CqlError extends Error {
  readonly code: number;
  /** What follows code and message in the body. */
  readonly rest: Buffer;

  constructor(code: number, message: string, rest: Buffer = Buffer.alloc(0)) {
    super(message);
    this.code = code;
    this.rest = rest;
  }
}

export const codes = {
  server: 0x0000, protocol: 0x000a, credentials: 0x0100, unavailable: 0x1000, overloaded: 0x1001, bootstrapping: 0x1002, truncate: 0x1003,
  writeTimeout: 0x1100, readTimeout: 0x1200, readFailure: 0x1300, writeFailure: 0x1500,
  syntax: 0x2000, unauthorized: 0x2100, invalid: 0x2200, configuration: 0x2300, exists: 0x2400, unprepared: 0x2500,
} as const;

export function invalid(message: string): CqlError {
  return new CqlError(codes.invalid, message);
}

export function syntax(message: string): CqlError {
  return new CqlError(codes.syntax, message);
}

/** An error of that code with the fields that its body has. */
export function errorOf(code: number, message: string, consistency = 1): CqlError {
  const rest = new Writer();
  switch (code) {
    case codes.unavailable: rest.u16(consistency).i32(1).i32(0); break;
    case codes.writeTimeout: rest.u16(consistency).i32(0).i32(1).string('SIMPLE'); break;
    case codes.readTimeout: rest.u16(consistency).i32(0).i32(1).u8(0); break;
    case codes.readFailure: rest.u16(consistency).i32(0).i32(1).i32(1).u8(0); break;
    case codes.writeFailure: rest.u16(consistency).i32(0).i32(1).i32(1).string('SIMPLE'); break;
    case codes.exists: rest.string('').string(''); break;
    case codes.unprepared: rest.shortBytes(Buffer.alloc(16)); break;
    default: break;
  }
  return new CqlError(code, message, rest.done());
}
