/** Random canonical texts of a type as it stands in CREATE TABLE. */
import * as fc from 'fast-check';
import { integerRange, isByteType, parseColumnType } from '../../../cdc/mysql/column-type.ts';
import { shortestSingle } from '../../../cdc/mysql/convert-numbers.ts';
import { storedPoint } from './sample-tables.ts';

const pad = (number: number, digits = 2): string => `${number}`.padStart(digits, '0');

const date = fc.date({ min: new Date('1000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }).map((day) => day.toISOString().slice(0, 10));
const clock = fc.tuple(fc.nat(23), fc.nat(59), fc.nat(59)).map(([hour, minute, second]) => `${pad(hour)}:${pad(minute)}:${pad(second)}`);
const fraction = (digits: number): fc.Arbitrary<string> => (digits === 0 ? fc.constant('') : fc.nat(10 ** digits - 1).map((number) => `.${pad(number, digits)}`));

const characters: Readonly<Record<string, fc.Arbitrary<string>>> = {
  utf8mb4: fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii' })).map((text) => text.replaceAll('\0', '')),
  utf8: fc.string({ unit: 'grapheme-ascii' }), latin1: fc.string({ unit: fc.constantFrom(...'aZ é€ß"\'\\\n') }), sjis: fc.string({ unit: fc.constantFrom(...'日本aｱ"') }), cp1250: fc.string({ unit: fc.constantFrom(...'ščřž aA') }),
};

export function randomValue(definition: string): fc.Arbitrary<string> {
  const type = parseColumnType(definition.toLowerCase().startsWith('enum') || definition.toLowerCase().startsWith('set') ? definition : definition.toLowerCase().replace(/ (?:character set|null|compressed).*$/, ''));
  const range = integerRange(type);
  if (type.name === 'tinyint' && type.length === 1) return fc.constantFrom('0', '1');
  if (range !== undefined) return fc.bigInt(type.zerofill ? { min: 0n, max: 4294967295n } : range).map(String);
  switch (type.name) {
    case 'decimal': {
      const scale = type.scale ?? 0;
      const max = 10n ** BigInt(type.length ?? 10) - 1n;
      return fc.bigInt({ min: type.unsigned ? 0n : -max, max }).map((number) => withPoint(number, scale));
    }
    case 'float': return fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(type.scale === undefined ? -3e38 : -99999), max: Math.fround(type.scale === undefined ? 3e38 : 99999) }).map((number) => (Math.abs(number) < 1.2e-38 ? '0' : type.scale === undefined ? shortestSingle(number) : number.toFixed(type.scale)));
    case 'double': return fc.double({ noNaN: true, noDefaultInfinity: true, min: type.unsigned ? 0 : -1.7e308 }).map((number) => (Math.abs(number) < 2.3e-308 ? '0' : `${number}`));
    case 'bit': return fc.bigInt({ min: 0n, max: (1n << BigInt(type.length ?? 1)) - 1n }).map((number) => number.toString(2).padStart(type.length ?? 1, '0'));
    case 'date': return date;
    case 'datetime': return fc.tuple(date, clock, fraction(type.length ?? 0)).map(([day, time, part]) => `${day} ${time}${part}`);
    case 'timestamp': return fc.tuple(fc.integer({ min: 1, max: 2147483646 }), fraction(type.length ?? 0)).map(([seconds, part]) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')}${part}`);
    case 'time': return fc.tuple(fc.boolean(), fc.nat(837), fc.nat(59), fc.nat(59), fraction(type.length ?? 0)).map(([isNegative, hour, minute, second, part]) => `${isNegative ? '-' : ''}${pad(hour)}:${pad(minute)}:${pad(second)}${part}`);
    case 'year': return fc.oneof(fc.constant('0000'), fc.integer({ min: 1901, max: 2155 }).map(String));
    case 'enum': return fc.constantFrom(...type.labels);
    case 'set': return fc.subarray([...type.labels]).map((labels) => labels.join(','));
    case 'json': return fc.jsonValue({ noUnicodeString: false }).map((value) => JSON.stringify(value).replace(/\\u0000|-0(?![.\d])/g, '0'));
    case 'uuid': return fc.uuid();
    case 'inet4': return fc.ipV4();
    case 'inet6': return fc.array(fc.integer({ min: 0, max: 65535 }), { minLength: 8, maxLength: 8 }).map((words) => words.map((word) => word.toString(16)).join(':'));
    case 'geometry': case 'point': return fc.constant(storedPoint);
    case 'vector': return fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 3, maxLength: 3 }).map((numbers) => `\\x${Buffer.from(Float32Array.from(numbers).buffer).toString('hex')}`);
    default:
  }
  if (isByteType(type)) {
    const length = Math.min(type.length ?? 200, 200);
    return fc.uint8Array({ minLength: type.name === 'binary' ? length : 0, maxLength: length }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`);
  }
  const charset = /character set (\w+)/i.exec(definition)?.[1] ?? 'latin1';
  const limit = type.length ?? 60;
  return (characters[charset] ?? fc.constant('a')).map((text) => {
    const cut = [...text].slice(0, limit).join('');
    return type.name === 'char' ? cut.trimEnd() : cut;
  });
}

function withPoint(number: bigint, scale: number): string {
  if (scale === 0) return `${number}`;
  const digits = `${number < 0n ? -number : number}`.padStart(scale + 1, '0');
  const text = `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return number < 0n ? `-${text}` : text;
}
