/** How reading or translating a statement of MySQL ends at what it does not know. */

/** Thrown inside; `translateMysql` makes a value of it. */
export class RefusedMysql extends Error {
  readonly construct: string;
  readonly place: number | undefined;

  constructor(construct: string, place?: number) {
    super(construct);
    this.construct = construct;
    this.place = place;
  }
}

export function refuse(construct: string, place?: number): never {
  throw new RefusedMysql(construct, place);
}
