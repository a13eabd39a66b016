/**
 * Deadlocks whose halves are on different sides: neither database sees a cycle, and everybody in it waits for ever (RULES 22). The waits
 * of both are put together, the two backends of a session being one, and the youngest session of a cycle gives way.
 *
 * Two looks at two databases are not one moment: a cycle has to be seen twice, a look apart, before anybody is asked to give way.
 */
import type { ClientBase } from 'pg';
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { CrossingUnit } from './fleet-messages.ts';

export interface Wait {
  readonly side: Side;
  readonly pid: number;
  readonly blockedBy: number;
}

export async function readWaits(client: ClientBase, side: Side): Promise<Wait[]> {
  const { rows } = await client.query<{ pid: number; blocker: number }>(
    "SELECT a.pid, b AS blocker FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) b WHERE a.wait_event_type = 'Lock' AND a.datname = current_database()");
  return rows.map(({ pid, blocker }) => ({ side, pid, blockedBy: blocker }));
}

/** Sessions to give way: of each cycle that goes over both sides the one that began last, among those that wait. */
export function findVictims(units: readonly CrossingUnit[], waits: readonly Wait[]): CrossingUnit[] {
  const sessionOf = new Map(units.flatMap((unit) => [[`source ${unit.sourcePid}`, unit.sessionId], [`local ${unit.localPid}`, unit.sessionId]] as const));
  const nodeOf = (side: Side, pid: number): string => sessionOf.get(`${side} ${pid}`) ?? `${side} ${pid}`;
  const blockers = new Map<string, { readonly to: string; readonly side: Side }[]>();
  for (const { side, pid, blockedBy } of waits) {
    const from = nodeOf(side, pid);
    blockers.set(from, [...(blockers.get(from) ?? []), { to: nodeOf(side, blockedBy), side }]);
  }
  const victims: CrossingUnit[] = [];
  for (const cycle of cyclesOf(blockers)) {
    const sides = new Set([...cycle].flatMap((node) => (blockers.get(node) ?? []).filter(({ to }) => cycle.has(to)).map(({ side }) => side)));
    if (sides.size < 2) continue;
    const [youngest] = units.filter(({ sessionId }) => cycle.has(sessionId)).sort((a, b) => a.openForMs - b.openForMs);
    if (youngest) victims.push(youngest);
  }
  return victims;
}

/** Sets of nodes of which each reaches every other (Tarjan's algorithm, without recursion). */
function cyclesOf(edges: ReadonlyMap<string, readonly { readonly to: string }[]>): Set<string>[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const onPath = new Set<string>();
  const path: string[] = [];
  const found: Set<string>[] = [];
  for (const root of edges.keys()) {
    if (index.has(root)) continue;
    const work = [{ node: root, next: 0 }];
    while (work.length > 0) {
      const frame = work.at(-1) as { node: string; next: number };
      const { node } = frame;
      if (frame.next === 0) {
        index.set(node, index.size);
        low.set(node, index.get(node) ?? 0);
        path.push(node);
        onPath.add(node);
      }
      const to = edges.get(node)?.[frame.next]?.to;
      frame.next += 1;
      if (to !== undefined) {
        if (!index.has(to)) work.push({ node: to, next: 0 });
        else if (onPath.has(to)) low.set(node, Math.min(low.get(node) ?? 0, index.get(to) ?? 0));
        continue;
      }
      work.pop();
      const parent = work.at(-1)?.node;
      if (parent !== undefined) low.set(parent, Math.min(low.get(parent) ?? 0, low.get(node) ?? 0));
      if (low.get(node) !== index.get(node)) continue;
      const members = new Set(path.splice(path.indexOf(node)));
      for (const member of members) onPath.delete(member);
      if (members.size > 1) found.push(members);
    }
  }
  return found;
}

/** What the workers have told, and the cycles of the last look. */
export class CrossDeadlocks {
  readonly #units = new Map<string, readonly CrossingUnit[]>();
  #suspects = new Set<string>();

  told(workerId: string, units: readonly CrossingUnit[]): void {
    if (units.length === 0) this.#units.delete(workerId);
    else this.#units.set(workerId, units);
  }

  get units(): readonly CrossingUnit[] {
    return [...this.#units.values()].flat();
  }

  /** Of these waits, read just now: the sessions that were victims at the last look too. */
  judge(waits: readonly Wait[]): string[] {
    const victims = findVictims(this.units, waits).map(({ sessionId }) => sessionId);
    const confirmed = victims.filter((sessionId) => this.#suspects.has(sessionId));
    this.#suspects = new Set(victims.filter((sessionId) => !confirmed.includes(sessionId)));
    return confirmed;
  }
}
