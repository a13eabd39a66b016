/**
 * Where a MySQL source is: one server, or the one of several that is written to now. Whoever connects reads the address anew each time, so that all go where
 * the change stream has found the server that goes on (`choose-server.ts`).
 */
import type { ServerAddress } from '../postgres/server-address.ts';

export interface ServerPlace {
  readonly host: string;
  readonly port: number;
}

export class ServerPlaces {
  /** `host` and `port` are those of now: never to be copied and kept. */
  readonly address: ServerAddress;
  readonly all: readonly ServerPlace[];
  readonly #listeners = new Set<(place: ServerPlace) => void>();
  #current: ServerPlace;

  /** `current`: one of them, as it was known last; the address's own unless given. */
  constructor(address: ServerAddress, standbys: readonly ServerPlace[] = [], current?: ServerPlace) {
    const { host, port, ...login } = address;
    this.all = [{ host, port }, ...standbys.filter((place) => !isSamePlace(place, address))];
    this.#current = this.all.find((place) => current !== undefined && isSamePlace(place, current)) ?? { host, port };
    const now = (): ServerPlace => this.#current;
    this.address = { ...login, get host() { return now().host; }, get port() { return now().port; } };
  }

  get current(): ServerPlace {
    return this.#current;
  }

  /** The current one first. */
  inOrder(): readonly ServerPlace[] {
    return [this.#current, ...this.all.filter((place) => !isSamePlace(place, this.#current))];
  }

  at({ host, port }: ServerPlace): ServerAddress {
    return { ...this.address, host, port };
  }

  moveTo(place: ServerPlace): void {
    if (isSamePlace(place, this.#current)) return;
    this.#current = place;
    for (const listener of this.#listeners) listener(place);
  }

  onMoved(listener: (place: ServerPlace) => void): void {
    this.#listeners.add(listener);
  }
}

export function isSamePlace(a: ServerPlace, b: ServerPlace): boolean {
  return a.host === b.host && a.port === b.port;
}
