/**
 * Property: applications that know nothing of a migration get, through the MySQL front door, what they get from the server itself: before START, while their tables load and
 * follow, through CUTOVER, ROLLBACK and CUTOVER again, and after it. No round of theirs has an error that the server does not give.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mysql2 from 'mysql2';
import { expect, it } from 'vitest';
import { startMysqlStack } from '../e2e/support/mysql-stack.ts';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { describeUnless } from '../support/tools.ts';

const all = ['typeorm', 'sequelize', 'wordpress'];
/** Which run where; CAUSEWAY_APPLICATIONS names others for both servers, or `all`, as CAUSEWAY_CRASH=all (`npm run soak`) has them. */
const asked = process.env['CAUSEWAY_APPLICATIONS'] ?? (process.env['CAUSEWAY_CRASH'] === 'all' ? 'all' : undefined);
const chosen = asked === 'all' ? all : asked?.split(',');
const applications: readonly (readonly [MysqlKind, readonly string[]])[] = [['mariadb-10.11', chosen ?? ['typeorm', 'wordpress']], ['mysql-9.7', chosen ?? ['sequelize']]];
const programs = path.join(import.meta.dirname, 'programs');
const isInstalled = fs.existsSync(path.join(import.meta.dirname, 'node_modules/typeorm')) && fs.existsSync(path.join(import.meta.dirname, 'node_modules/sequelize'));

interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

interface Application {
  /** Everything that it does, from tables without rows on; what it was answered, a line for each step. */
  round(): Promise<readonly string[]>;
  close(): Promise<void>;
}

type Open = (place: Place, options: { readonly isMariadb: boolean; readonly makesTables?: boolean; readonly driver: unknown }) => Promise<Application>;

interface Case {
  readonly name: string;
  readonly file: string;
  readonly open: string;
  /** Steps at the least. */
  readonly steps: number;
  readonly options: string;
}

const known: readonly Case[] = [
  { name: 'typeorm', file: 'typeorm-blog.mjs', open: 'openTypeorm', steps: 90, options: '' },
  { name: 'sequelize', file: 'sequelize-shop.mjs', open: 'openSequelize', steps: 75, options: '' },
  // Its tables have zero dates, as defaults and as values.
  { name: 'wordpress', file: 'wordpress.mjs', open: 'openWordpress', steps: 175, options: " OPTIONS (type_map '* ON zero_date CLAMP')" },
];

async function opener({ file, open }: Case): Promise<Open> {
  const program = (await import(path.join(programs, file))) as Readonly<Record<string, Open>>;
  const found = program[open];
  if (!found) throw new Error(`${file} has no ${open}`);
  return found;
}

/** Where two lines part. */
function differing(line: string, expected: string): string {
  let at = 0;
  while (at < line.length && line[at] === expected[at]) at += 1;
  const from = Math.max(0, at - 100);
  return `${line.slice(0, 60)} … ${line.slice(from, at + 400)}\n  the server: … ${expected.slice(from, at + 400)}`;
}

/** An application at work: round after round, each compared with what the server itself has answered. */
class Life {
  rounds = 0;
  readonly deviations: string[] = [];
  phase = 'before';
  readonly #application: Application;
  readonly #expected: readonly string[];
  readonly #name: string;
  #isOver = false;
  #work: Promise<void> | undefined;

  constructor(name: string, application: Application, expected: readonly string[]) {
    this.#name = name;
    this.#application = application;
    this.#expected = expected;
  }

  start(): void {
    this.#work = this.#run().catch((error: unknown) => void this.deviations.push(`${this.#name}, ${this.phase}: ${String(error)}`));
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const began = this.phase;
      const startedMs = performance.now();
      const lines = await this.#application.round();
      const found = lines.flatMap((line, at) => (line === this.#expected[at] ? [] : [`${this.#name}, ${began}: ${differing(line, this.#expected[at] ?? '')}`]));
      this.deviations.push(...found.slice(0, 5));
      if (lines.length !== this.#expected.length) this.deviations.push(`${this.#name}, ${began}: ${lines.length} steps`);
      this.rounds += 1;
      // The servers and the product have these processors too.
      await delay(Math.min(performance.now() - startedMs, 2_000));
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#work;
    await this.#application.close();
  }
}

for (const [kind, names] of applications) {
  const cases = known.filter(({ name }) => names.includes(name));
  describeMysql([kind], `applications of ${kind}`, () => {
    describeUnless(isInstalled ? undefined : 'not installed in test/drivers: typeorm, sequelize', 'unmodified', () => {
      it('before, during and after CUTOVER, ROLLBACK and CUTOVER', async () => {
        await using server = await startMysql(kind, { settings: ['default-time-zone=+00:00'] });
        const isMariadb = kind.startsWith('mariadb');
        const expected = new Map<string, readonly string[]>();
        for (const each of cases) {
          await server.sql(`CREATE DATABASE ${each.name} DEFAULT CHARACTER SET utf8mb4`);
          const direct = await (await opener(each))({ ...server, database: each.name }, { isMariadb, makesTables: true, driver: mysql2 });
          // The second: a round finds what the one before has left.
          await direct.round();
          const first = await direct.round();
          expect(first.length).toBeGreaterThanOrEqual(each.steps);
          expected.set(each.name, first);
          await direct.close();
        }
        const port = await freePort();
        await using stack = await startMysqlStack(server, { port, workers: 1 });
        const lives: Life[] = [];
        const place = { host: '127.0.0.1', port, user: 'app', password: 'right' };
        try {
          for (const each of cases) {
            const application = await (await opener(each))({ ...place, database: each.name }, { isMariadb, driver: mysql2 });
            const life = new Life(each.name, application, expected.get(each.name) ?? []);
            lives.push(life);
            life.start();
          }
          const live = async (phase: string, rounds = 1): Promise<void> => {
            const before = lives.map((life) => life.rounds);
            for (const life of lives) life.phase = phase;
            await expect.poll(() => lives.every((life, at) => life.deviations.length > 0 || life.rounds > (before[at] ?? 0) + rounds), { message: phase, timeout: 60_000, interval: 50 }).toBe(true);
            expect(lives.flatMap(({ deviations }) => deviations)).toEqual([]);
          };
          const ready = async (): Promise<void> => {
            for (const { name } of cases) {
              stack.watchedSchema = name;
              await stack.makeReady(name, 120_000);
            }
          };
          await live('before START', 0);
          for (const { name, options } of cases) await stack.command(`START MIGRATION FOR SCHEMA ${name} FROM legacy_mysql${options}`);
          await ready();
          const local = await stack.direct('local');
          for (const { name } of cases) await local.query(`GRANT USAGE ON SCHEMA ${name} TO app; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA ${name} TO app; GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ${name} TO app`);
          await live('in step', 0);
          for (const turn of [1, 2]) {
            for (const { name, options } of cases) {
              for (const life of lives) life.phase = `CUTOVER ${turn} of ${name}`;
              if (options !== '') await stack.command(`ALTER MIGRATION FOR SCHEMA ${name} ACCEPT TYPE LOSS`);
              await stack.command(`CUTOVER SCHEMA ${name} TOGETHER`);
            }
            await live(`on local, ${turn}`);
            if (turn === 2) break;
            for (const { name } of cases) {
              for (const life of lives) life.phase = `ROLLBACK of ${name}`;
              await stack.command(`ROLLBACK MIGRATION FOR SCHEMA ${name} TOGETHER PRESERVE LOCAL DATA`);
            }
            await live('back on the server', 0);
            await ready();
          }
        } finally {
          await Promise.all(lives.map((life) => life.stop()));
          console.log(JSON.stringify({ kind, rounds: lives.map(({ rounds }) => rounds), steps: [...expected].map(([name, lines]) => [name, lines.length]) }));
        }
        expect(lives.flatMap(({ deviations }) => deviations)).toEqual([]);
      }, 400_000);
    });
  });
}
