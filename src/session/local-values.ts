/** Arrays and composites that a client sends to local in binary, and what it asks for in binary there: `local-answers` reads the answers. */
import { bindParts } from '../wire/bind-parameters.ts';
import type { BindParts } from '../wire/bind-parameters.ts';
import type { Verdict } from '../wire/framing.ts';
import { describePortal, describeStatement, flush, readParse } from '../wire/frontend-messages.ts';
import { bindForLocal, readsCatalogs } from './catalog-numbers.ts';
import type { Leg } from './leg.ts';
import { UnitValues } from './local-answers.ts';
import type { StatementShape } from './local-answers.ts';
import type { ObjectNumbers } from './object-numbers.ts';
import { nameOn } from './pool/pooled-statements.ts';
import type { Portal, PreparedStatement } from './prepared-statements.ts';
import type { SessionCore } from './session-core.ts';
import type { TextTraits } from './text-traits.ts';
import { mayHoldNumbers, renumberValue } from './value-numbers.ts';

export class LocalValues {
  readonly #core: SessionCore;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** The Bind as local has to get it; undefined: as it is. A verdict: wait with it. */
  bind(leg: Leg, statement: PreparedStatement, buffer: Buffer, start: number, length: number): Buffer | Verdict | undefined {
    const { numbers } = this.#core.services;
    if (leg.side === 'source' || !numbers) return undefined;
    if (readsCatalogs(statement.traits)) return bindForLocal(buffer, start, length);
    const parts = bindParts(buffer, start, length);
    if (!parts) return undefined;
    const types = declaredTypes(statement);
    let copy: Buffer | undefined;
    let isKnown = true;
    let lacksTypes = false;
    eachBinary(buffer, parts, (index, from, to) => {
      if (!mayHoldNumbers(buffer, from, to)) return;
      const type = types[index] || (statement.shape?.parameters?.[index] ?? 0);
      if (type === 0) lacksTypes = true;
      else if (!renumbered(numbers, type, buffer, from, to, false)) isKnown = false;
    });
    if (lacksTypes && statement.shape?.parameters === undefined) {
      const asked = this.#askForTypes(leg, statement);
      if (asked !== undefined) return asked;
    }
    if (!isKnown) {
      numbers.learn(() => this.#core.proceed('state'));
      return this.#core.wait('state');
    }
    eachBinary(buffer, parts, (index, from, to) => {
      const type = types[index] || (statement.shape?.parameters?.[index] ?? 0);
      if (!mayHoldNumbers(buffer, from, to) || numbers.shapeOf('source', type) === 'plain') return;
      // The client's own bytes stay as they are: the Bind may be offered again, and go to the other leg then.
      copy ??= Buffer.copyBytesFrom(buffer, start, length);
      renumbered(numbers, type, copy, from - start, to - start, true);
    });
    return copy;
  }

  /** Undefined when nothing is asked for in binary, or it is of no interest. */
  formats(leg: Leg, traits: TextTraits, buffer: Buffer, start: number, length: number): Buffer | undefined {
    if (leg.side === 'source' || !this.#core.services.numbers) return undefined;
    const parts = bindParts(buffer, start, length);
    if (!parts) return undefined;
    let isOfInterest = readsCatalogs(traits);
    for (let at = parts.resultFormatsAt + 2; at < start + length; at += 2) isOfInterest ||= buffer.readUInt16BE(at) === 1;
    return isOfInterest ? Buffer.copyBytesFrom(buffer, parts.resultFormatsAt, start + length - parts.resultFormatsAt) : undefined;
  }

  /** An Execute of this portal is about to be sent. */
  execute(leg: Leg, name: string, portal?: Portal): void {
    const values = this.#unitValues(leg);
    if (!values) return;
    const { statement, formats } = portal ?? {};
    if (!statement || !formats) return values.executeSent();
    const shape = shapeOf(statement);
    if (shape.columns?.length === 0) return values.executeSent();
    if (!shape.columns && !values.asksFor(shape)) {
      values.describeSent({ shape, isOwn: true });
      this.#core.send(leg, describePortal(name));
    }
    values.executeSent({ shape, formats });
  }

  /** A Describe of the client's is about to be sent. */
  describe(leg: Leg, statement: PreparedStatement | undefined): void {
    this.#unitValues(leg)?.describeSent(statement && { shape: shapeOf(statement), isOwn: false });
  }

  #unitValues(leg: Leg): UnitValues | undefined {
    if (leg.side === 'source' || !this.#core.services.numbers) return undefined;
    const segment = this.#core.unitSegment(leg);
    if (segment.values instanceof UnitValues) return segment.values;
    const values = new UnitValues();
    segment.values = values;
    return values;
  }

  /** Undefined where there will be no answer. */
  #askForTypes(leg: Leg, statement: PreparedStatement): Verdict | undefined {
    const core = this.#core;
    const values = this.#unitValues(leg);
    if (!values || values.hasFailed) return undefined;
    const shape = shapeOf(statement);
    if (!values.asksFor(shape)) {
      values.describeSent({ shape, isOwn: true, done: () => core.proceed('state') });
      core.send(leg, Buffer.concat([describeStatement(nameOn(statement, leg.side)), flush]));
    }
    return core.wait('state');
  }
}

function shapeOf(statement: PreparedStatement): StatementShape {
  return (statement.shape ??= { parameters: undefined, columns: undefined });
}

/** Of the Parse, in the client's numbers; 0 where it leaves a type to the server. */
export function declaredTypes({ origin }: PreparedStatement): readonly number[] {
  if (origin.type !== 'parse') return [];
  const parts = readParse(origin.message, 0, origin.message.length);
  const at = (parts?.textEnd ?? origin.message.length) + 1;
  if (at + 2 > origin.message.length) return [];
  const count = Math.min(origin.message.readUInt16BE(at), Math.floor((origin.message.length - at - 2) / 4));
  return Array.from({ length: count }, (_, index) => origin.message.readUInt32BE(at + 2 + 4 * index));
}

function renumbered(numbers: ObjectNumbers, type: number, buffer: Buffer, from: number, to: number, writes: boolean): boolean {
  const shape = numbers.shapeOf('source', type);
  return shape !== undefined && renumberValue(numbers, 'source', shape, buffer, from, to, writes);
}

function eachBinary(buffer: Buffer, { formatsAt, valuesAt }: BindParts, visit: (index: number, from: number, to: number) => void): void {
  const formats = buffer.readUInt16BE(formatsAt);
  if (formats === 0 || (formats === 1 && buffer.readUInt16BE(formatsAt + 2) !== 1)) return;
  const count = buffer.readUInt16BE(valuesAt - 2);
  let at = valuesAt;
  for (let index = 0; index < count; index += 1) {
    const length = buffer.readInt32BE(at);
    at += 4;
    if (length < 0) continue;
    if (formats === 1 || (index < formats && buffer.readUInt16BE(formatsAt + 2 + 2 * index) === 1)) visit(index, at, at + length);
    at += length;
  }
}
