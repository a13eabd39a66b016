/** Applications that write tables of `dual_write_mode 'two_phase'`, through the gateway in every way that drivers have, and one that writes past it. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

export const twoPhaseTables = ['note', 'owner', 'pet', 'visit'] as const;

/** `pet` follows its `owner` by cascade, and a trigger counts its visits: only the stream knows of these. */
export const twoPhaseSql = `
  CREATE TABLE note (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, line text, big text, at timestamptz DEFAULT clock_timestamp());
  ALTER TABLE note ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE owner (id int PRIMARY KEY, name text);
  CREATE TABLE pet (id int PRIMARY KEY, owner int REFERENCES owner ON DELETE CASCADE, visits int NOT NULL DEFAULT 0);
  CREATE TABLE visit (id bigint PRIMARY KEY, pet int, line text);
  CREATE FUNCTION visited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE pet SET visits = visits + 1 WHERE id = NEW.pet; RETURN NULL; END $$;
  CREATE TRIGGER visited AFTER INSERT ON visit FOR EACH ROW EXECUTE FUNCTION visited();
  INSERT INTO note SELECT g, 0, 'line ' || g, repeat('x', 3000) FROM generate_series(1, 30) g;
  INSERT INTO owner SELECT g, 'owner ' || g FROM generate_series(1, 10) g;
  INSERT INTO pet SELECT g, 1 + g % 10 FROM generate_series(1, 20) g;
  GRANT SELECT, INSERT, UPDATE, DELETE ON note, owner, pet, visit TO app`;

const pick = (most: number): number => 1 + Math.floor(Math.random() * most);

function change(): string {
  const id = pick(40);
  const changes: readonly string[] = [
    `INSERT INTO note (id, n, line, big) VALUES (${id}, ${pick(9)}, 'i${pick(99)}', repeat('y', ${pick(2) === 1 ? 10 : 4000})) ON CONFLICT (id) DO UPDATE SET n = note.n + 1, line = excluded.line`,
    `UPDATE note SET n = n + 1, at = clock_timestamp() WHERE id = ${id}`,
    `UPDATE note SET line = 'u${pick(99)}' WHERE id BETWEEN ${id} AND ${id + 3}`,
    `UPDATE note SET big = repeat('z', ${pick(5000)}) WHERE id = ${id}`,
    `DELETE FROM note WHERE id = ${id}`,
    `UPDATE note SET id = ${pick(40)} WHERE id = ${id}`,
    `INSERT INTO owner VALUES (${pick(10)}, 'o${pick(99)}') ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
    `DELETE FROM owner WHERE id = ${pick(10)} AND ${pick(3)} = 1`,
    `INSERT INTO pet (id, owner) SELECT ${pick(20)}, o.id FROM owner o LIMIT 1 ON CONFLICT (id) DO UPDATE SET owner = excluded.owner`,
    `UPDATE pet SET visits = 0 WHERE id = ${pick(20)}`,
  ];
  return changes[pick(changes.length) - 1] ?? '';
}

export class TwoPhaseWriters {
  /** Visits that were acknowledged. */
  readonly acknowledged = new Set<string>();
  readonly #target: pg.ClientConfig;
  readonly #direct: pg.ClientConfig;
  readonly #running: Promise<void>[] = [];
  #isStopping = false;
  #next = 1;

  constructor(gateway: { readonly host: string; readonly port: number; readonly database: string }, source: { readonly host: string; readonly port: number; readonly user: string; readonly database: string }, user = 'app') {
    this.#target = { ...gateway, user };
    this.#direct = source;
  }

  /** `first`: number of the first of those through the gateway; no two that are at work have the same. */
  start(throughGateway: number, direct: number, first = 0): void {
    for (let number = first; number < first + throughGateway; number += 1) this.#running.push(this.#write(this.#target, (client) => this.#unit(client, number)));
    for (let number = 0; number < direct; number += 1) this.#running.push(this.#write(this.#direct, async (client) => void (await client.query(change()))));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  /** Errors of the data are part of the traffic; a lost connection is made again. */
  async #write(config: pg.ClientConfig, unit: (client: pg.Client) => Promise<void>): Promise<void> {
    while (!this.#isStopping) {
      const client = new pg.Client({ ...config, connectionTimeoutMillis: 5_000 });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!this.#isStopping) {
          try {
            await unit(client);
          } catch (error) {
            if (!(error instanceof pg.DatabaseError) || error.severity === 'FATAL') throw error;
            await client.query('ROLLBACK');
          }
        }
      } catch {
        await delay(50);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #unit(client: pg.Client, writer: number): Promise<void> {
    switch (pick(5)) {
      case 1:
        await client.query(`${change()}${pick(2) === 1 ? ' RETURNING id' : ''}`);
        return;
      case 2:
        await client.query({ name: 'bump', text: 'UPDATE note SET n = n + $1 WHERE id = $2', values: [pick(3), pick(40)] });
        return;
      case 3: {
        await client.query('BEGIN');
        for (let left = pick(3); left > 0; left -= 1) await client.query(change());
        await client.query(pick(4) === 1 ? 'ROLLBACK' : 'COMMIT');
        return;
      }
      case 4: {
        const id = String(writer * 10_000_000 + this.#next++);
        await client.query('INSERT INTO visit VALUES ($1, $2, $3)', [id, pick(20), `visit ${id}`]);
        this.acknowledged.add(id);
        return;
      }
      default:
        await client.query('INSERT INTO note (id, line) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET line = excluded.line', [pick(40), `p${pick(99)}`]);
    }
  }
}
