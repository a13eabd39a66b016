/** How a translation ends at what it does not know. */

/** Thrown inside a translation; `translateStatement` makes a value of it. */
export class Refusal extends Error {
  readonly construct: string;
  readonly place: number | undefined;

  constructor(construct: string, place?: unknown) {
    super(construct);
    this.construct = construct;
    this.place = typeof place === 'number' && place >= 0 ? place : undefined;
  }
}

export function refuse(construct: string, place?: unknown): never {
  throw new Refusal(construct, place);
}
