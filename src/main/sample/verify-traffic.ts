/**
 * Compares what the clients of a traffic run were told with what a database holds: nothing acknowledged may be missing, nothing may
 * be there twice, nothing refused may be there, and the sums must add up.
 */
import type { ClientBase } from 'pg';
import type { SampleGroup } from './load-sample.ts';
import type { WriteLedger } from './write-ledger.ts';

export interface TrafficVerdict {
  /** Acknowledged writes that were looked for. */
  readonly checked: number;
  /** Acknowledged and not there. */
  readonly lost: number;
  /** There more than once. */
  readonly duplicated: number;
  /** Refused to the client and there all the same. */
  readonly resurrected: number;
  /** Connection lost in COMMIT: there, and not there. Both are right. */
  readonly unknownPresent: number;
  readonly unknownAbsent: number;
  /** Accounts whose balance is not the opening one plus the transfers. */
  readonly balanceMismatches: number;
  /** Units on hand and reserved, and visits counted, more or fewer than expected. */
  readonly stockDifference: number;
  readonly visitDifference: number;
  /** Orders written in the run whose total is not the sum of their items. */
  readonly tornOrders: number;
  /** Rows that the trigger on `orders` should have written for orders of this run, more or fewer than status changes. */
  readonly auditDifference: number;
  /** The first twenty findings in words. */
  readonly findings: readonly string[];
  readonly ok: boolean;
}

const logTables: Readonly<Record<SampleGroup, string>> = { orders: 'order_write_log', accounts: 'account_write_log', events: 'event_write_log' };

/**
 * `client` is connected to the side that is the authority of the groups, or to the gateway; groups on different sides are looked at
 * one by one. Sums assume that nobody else wrote during the run.
 */
export async function verifyTraffic(ledger: WriteLedger, client: ClientBase, groups: readonly SampleGroup[] = ['orders', 'accounts', 'events']): Promise<TrafficVerdict> {
  const findings = new Findings();
  const present: Presence[] = [];
  for (const group of groups) for (let clientId = 0; clientId < ledger.clientCount; clientId += 1) present.push(await comparePresence(ledger, client, group, clientId, findings));
  const sum = (key: keyof Omit<Presence, 'effects'>): number => present.reduce((total, presence) => total + presence[key], 0);
  const effects = present.flatMap((presence) => presence.effects);
  const counts = {
    checked: sum('checked'), lost: sum('lost'), duplicated: sum('duplicated'), resurrected: sum('resurrected'),
    unknownPresent: sum('unknownPresent'), unknownAbsent: sum('unknownAbsent'),
    balanceMismatches: groups.includes('accounts') ? await compareBalances(ledger, client, effects, findings) : 0,
    ...(groups.includes('orders') ? await compareOrders(ledger, client, effects, findings) : { stockDifference: 0, visitDifference: 0, tornOrders: 0, auditDifference: 0 }),
  };
  const { lost, duplicated, resurrected, balanceMismatches, stockDifference, visitDifference, tornOrders, auditDifference } = counts;
  const wrong = [lost, duplicated, resurrected, balanceMismatches, stockDifference, visitDifference, tornOrders, auditDifference];
  return { ...counts, findings: findings.texts, ok: wrong.every((count) => count === 0) };
}

class Findings {
  readonly texts: string[] = [];

  add(text: string): void {
    if (this.texts.length < 20) this.texts.push(text);
  }
}

interface Presence {
  checked: number;
  lost: number;
  duplicated: number;
  resurrected: number;
  unknownPresent: number;
  unknownAbsent: number;
  /** Writes of this client that took effect. */
  effects: { readonly clientId: number; readonly seq: number }[];
}

/** One client's numbers in one group's log. */
async function comparePresence(ledger: WriteLedger, client: ClientBase, group: SampleGroup, clientId: number, findings: Findings): Promise<Presence> {
  const table = logTables[group];
  const { rows } = await client.query<{ seq: number; times: number }>(
    `SELECT seq, count(*)::int AS times FROM ${table} WHERE run_id = $1 AND client_id = $2 GROUP BY seq`, [ledger.runId, clientId]);
  const times = new Map(rows.map((row) => [row.seq, row.times]));
  const own = ledger.client(clientId);
  const presence: Presence = { checked: 0, lost: 0, duplicated: 0, resurrected: 0, unknownPresent: 0, unknownAbsent: 0, effects: [] };
  for (let seq = 0; seq < own.length; seq += 1) {
    if (own.group(seq) !== group) continue;
    const found = times.get(seq) ?? 0;
    times.delete(seq);
    judge(presence, own.outcome(seq), found, (what) => findings.add(`${table}: write ${seq} of client ${clientId} ${what}`));
    if (found > 0) presence.effects.push({ clientId, seq });
  }
  for (const seq of times.keys()) {
    presence.resurrected += 1;
    findings.add(`${table}: write ${seq} of client ${clientId} is there, but nobody made it`);
  }
  return presence;
}

function judge(presence: Presence, outcome: string, found: number, report: (what: string) => void): void {
  if (outcome === 'acknowledged') presence.checked += 1;
  if (found > 1) {
    presence.duplicated += 1;
    report(`is there ${found} times`);
  }
  if (outcome === 'acknowledged' && found === 0) {
    presence.lost += 1;
    report('was acknowledged and is lost');
  }
  if (outcome === 'failed' && found > 0) {
    presence.resurrected += 1;
    report('was refused and is there');
  }
  if (outcome === 'unknown' || outcome === 'pending') presence[found > 0 ? 'unknownPresent' : 'unknownAbsent'] += 1;
}

type Effects = Presence['effects'];

async function compareBalances(ledger: WriteLedger, client: ClientBase, effects: Effects, findings: Findings): Promise<number> {
  const expected = new Map(ledger.opening.balances);
  const book = (account: number, cents: number): Map<number, number> => expected.set(account, (expected.get(account) ?? 0) + cents);
  for (const { clientId, seq } of effects) {
    const transfer = ledger.client(clientId).transfer(seq);
    if (!transfer) continue;
    book(transfer.from, -transfer.cents);
    book(transfer.to, transfer.cents);
  }
  const { rows } = await client.query<{ id: number; cents: string }>('SELECT id, (balance * 100)::bigint AS cents FROM accounts');
  let mismatches = Math.abs(rows.length - expected.size);
  for (const { id, cents } of rows) {
    if (expected.get(id) === Number(cents)) continue;
    mismatches += 1;
    findings.add(`accounts: ${id} has ${cents} cents, expected ${expected.get(id)}`);
  }
  return mismatches;
}

async function compareOrders(ledger: WriteLedger, client: ClientBase, effects: Effects, findings: Findings): Promise<Pick<TrafficVerdict, 'stockDifference' | 'visitDifference' | 'tornOrders' | 'auditDifference'>> {
  const number = async (sql: string, values: unknown[] = []): Promise<number> => Number((await client.query<{ value: string }>(sql, values)).rows[0]?.value);
  const visits = effects.filter(({ clientId, seq }) => ledger.client(clientId).isVisit(seq)).length;
  const differences = {
    stockDifference: (await number('SELECT sum(quantity + reserved) AS value FROM inventory')) - ledger.opening.stock,
    visitDifference: (await number(`SELECT sum((preferences ->> 'visits')::int) AS value FROM customers`)) - ledger.opening.visits - visits,
    tornOrders: await number(`SELECT count(*) AS value FROM (SELECT DISTINCT order_id FROM order_write_log WHERE run_id = $1 AND order_id IS NOT NULL) written
      LEFT JOIN orders o ON o.id = written.order_id
      WHERE o.id IS NULL OR o.total <> (SELECT coalesce(round(sum(quantity * unit_price * (1 - discount)), 2), 0) FROM order_items i WHERE i.order_id = o.id)`, [ledger.runId]),
    // Each payment changes the status; orders of this run are paid by this run only.
    auditDifference: await number(`WITH placed AS (SELECT order_id FROM order_write_log WHERE run_id = $1 AND operation = 'place order')
      SELECT (SELECT count(*) FROM order_audit WHERE order_id IN (SELECT order_id FROM placed))
           - (SELECT count(*) FROM order_write_log WHERE operation = 'pay order' AND order_id IN (SELECT order_id FROM placed)) AS value`, [ledger.runId]),
  };
  for (const [name, count] of Object.entries(differences)) if (count !== 0) findings.add(`orders: ${name} is ${count}`);
  return differences;
}
