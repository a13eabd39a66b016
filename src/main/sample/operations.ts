/**
 * What the clients of the sample traffic do. Each operation stays within one group of tables, and each write leaves its number in
 * the group's log in its own transaction.
 *
 * Rows are locked in the order of their keys, so that the traffic by itself has no deadlocks.
 */
import type { SampleGroup } from './load-sample.ts';
import type { TrafficSession } from './traffic-session.ts';

export interface WriteOperation {
  readonly name: string;
  readonly group: SampleGroup;
  /** Share of all writes, relative to the others. */
  readonly weight: number;
  run(session: TrafficSession): Promise<void>;
}

export interface ReadOperation {
  readonly name: string;
  readonly weight: number;
  /** Returns what was wrong with the answer, if anything was. */
  run(session: TrafficSession): Promise<string | undefined>;
}

type LogReference = 'order_id' | 'customer_id' | 'product_id';

/** The values of one line in `order_write_log`, in the order of its columns; the last one is the row that was written. */
function logValues({ identity, seq }: TrafficSession, operation: string, reference: unknown): unknown[] {
  return [identity.runId, identity.clientId, seq, operation, reference];
}

async function logOrderWrite(session: TrafficSession, operation: string, column: LogReference, reference: unknown): Promise<void> {
  const text = `INSERT INTO order_write_log (run_id, client_id, seq, operation, ${column}) VALUES ($1, $2, $3, $4, $5)`;
  await session.query(text, logValues(session, operation, reference), `log_${column}`);
}

function orderOf(session: TrafficSession): number {
  return session.ownOrders.length > 0 && session.pick(4) > 0 ? session.pickFrom(session.ownOrders) : 1 + session.pick(session.facts.orders);
}

/** Adds up an order again after its items have changed. */
const setTotal = `UPDATE orders SET total = (SELECT coalesce(round(sum(quantity * unit_price * (1 - discount)), 2), 0) FROM order_items WHERE order_id = $1), updated_at = now() WHERE id = $1`;
const moveStock = 'UPDATE inventory SET quantity = quantity - $3, reserved = reserved + $3 WHERE product_id = $1 AND warehouse = $2';

const placeOrder: WriteOperation = {
  name: 'place order', group: 'orders', weight: 25,
  run: async (session) => {
    let id = 0;
    await session.transaction(async () => {
      const customer = 1 + session.pick(session.facts.customers);
      const products = [...new Set(Array.from({ length: 1 + session.pick(4) }, () => session.pickFrom(session.facts.products)))].sort();
      const found = await session.query('SELECT id, price FROM products WHERE id = ANY ($1)', [products], 'prices');
      const prices = new Map(found.rows.map((row) => [String(row['id']), String(row['price'])]));
      const placed = await session.query(`INSERT INTO orders (customer_id, note) VALUES ($1, $2) RETURNING id`, [customer, session.pick(5) === 0 ? 'Ring twice — §' : null], 'new_order');
      id = Number(placed.rows[0]?.['id']);
      for (const [index, product] of products.entries()) {
        const quantity = 1 + session.pick(3);
        await session.query(moveStock, [product, 1, quantity], 'move_stock');
        await session.query('INSERT INTO order_items (order_id, item_no, product_id, quantity, unit_price) VALUES ($1, $2, $3, $4, $5)', [id, index + 1, product, quantity, prices.get(product) ?? 1], 'new_item');
      }
      await session.query(setTotal, [id], 'set_total');
      await logOrderWrite(session, 'place order', 'order_id', id);
    });
    session.ownOrders.push(id);
    if (session.ownOrders.length > 50) session.ownOrders.shift();
  },
};

const payOrder: WriteOperation = {
  name: 'pay order', group: 'orders', weight: 15,
  run: (session) => session.transaction(async () => {
    const id = orderOf(session);
    const { rows } = await session.query(`SELECT status, total FROM orders WHERE id = ${id} FOR UPDATE`);
    await session.query(`INSERT INTO payments (order_id, method, amount, details) VALUES ($1, 'card', $2, $3) RETURNING id`, [id, rows[0]?.['total'] ?? 0, JSON.stringify({ attempt: session.seq })]);
    await session.query(`UPDATE orders SET status = $2, updated_at = now() WHERE id = $1`, [id, rows[0]?.['status'] === 'paid' ? 'shipped' : 'paid'], 'set_status');
    await logOrderWrite(session, 'pay order', 'order_id', id);
  }),
};

const removeItem: WriteOperation = {
  name: 'remove item', group: 'orders', weight: 6,
  run: (session) => session.transaction(async () => {
    const id = orderOf(session);
    await session.query('SELECT 1 FROM orders WHERE id = $1 FOR UPDATE', [id]);
    await session.query('SAVEPOINT before_removal');
    const removed = await session.query(`DELETE FROM order_items WHERE order_id = $1 AND item_no = (SELECT max(item_no) FROM order_items WHERE order_id = $1) RETURNING product_id, quantity`, [id], 'remove_item');
    await session.query('RELEASE SAVEPOINT before_removal');
    // Rows of the sample were never reserved: taking them back would be wrong.
    const row = id > session.facts.orders ? removed.rows[0] : undefined;
    if (row) await session.query(moveStock, [row['product_id'], 1, -Number(row['quantity'])], 'move_stock');
    await session.query(setTotal, [id], 'set_total');
    await logOrderWrite(session, 'remove item', 'order_id', id);
  }),
};

const countVisit: WriteOperation = {
  name: 'count visit', group: 'orders', weight: 15,
  run: async (session) => {
    session.ledger.noteVisit(session.seq);
    const text = `WITH visited AS (UPDATE customers SET preferences = jsonb_set(preferences, '{visits}', to_jsonb((preferences ->> 'visits')::int + 1)), updated_at = now()
      WHERE id = $5 RETURNING id) INSERT INTO order_write_log (run_id, client_id, seq, operation, customer_id) SELECT $1::int, $2::int, $3::int, $4, id FROM visited`;
    await session.autocommit(text, logValues(session, 'count visit', 1 + session.pick(session.facts.customers)), 'count_visit');
  },
};

/** A title changes, the long text beside it does not; now and then the text does as well. */
const reviseDocument: WriteOperation = {
  name: 'revise document', group: 'orders', weight: 5,
  run: async (session) => {
    const product = session.pickFrom(session.facts.documents);
    const { runId, clientId } = session.identity;
    const body = session.pick(10) === 0 ? `, body = body || E'\\nrevised by ${clientId}'` : '';
    // Two statements in one simple query are one transaction.
    await session.autocommit(`UPDATE product_documents SET title = 'Manual, revision ' || version + 1, version = version + 1${body} WHERE product_id = '${product}' AND language = 'en';
      INSERT INTO order_write_log (run_id, client_id, seq, operation, product_id) VALUES (${runId}, ${clientId}, ${session.seq}, 'revise document', '${product}')`);
  },
};

const transfer: WriteOperation = {
  name: 'transfer', group: 'accounts', weight: 24,
  run: async (session) => {
    const from = 1 + session.pick(session.facts.accounts);
    const to = 1 + ((from + session.pick(session.facts.accounts - 1)) % session.facts.accounts);
    const cents = 1 + session.pick(2000);
    session.ledger.noteTransfer(session.seq, { from, to, cents });
    await session.transaction(async () => {
      const amount = (cents / 100).toFixed(2);
      await session.query('SELECT id, balance FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE', [from, to], 'lock_accounts');
      await session.query('UPDATE accounts SET balance = balance - $2 WHERE id = $1', [from, amount], 'withdraw');
      await session.query('UPDATE accounts SET balance = balance + $2 WHERE id = $1', [to, amount], 'deposit');
      await session.query('INSERT INTO transfers (from_account, to_account, amount) VALUES ($1, $2, $3) RETURNING id', [from, to, amount], 'new_transfer');
      await session.query('INSERT INTO account_write_log (run_id, client_id, seq, operation, account_id) VALUES ($1, $2, $3, $4, $5)', logValues(session, 'transfer', from), 'log_account');
    });
  },
};

const recordEvent: WriteOperation = {
  name: 'record event', group: 'events', weight: 10,
  run: async (session) => {
    const text = `WITH recorded AS (INSERT INTO events (kind, subject_id, payload) VALUES ($4, $5, $6) RETURNING occurred_at, id)
      INSERT INTO event_write_log (run_id, client_id, seq, operation, event_at, event_id) SELECT $1::int, $2::int, $3::int, 'record event', occurred_at, id FROM recorded RETURNING event_id`;
    const payload = JSON.stringify({ session: session.identity.clientId, ms: session.pick(3000) });
    await session.autocommit(text, [...logValues(session, 'page_view', 1 + session.pick(session.facts.customers)), payload]);
  },
};

export const writeOperations: readonly WriteOperation[] = [placeOrder, payOrder, removeItem, countVisit, reviseDocument, transfer, recordEvent];

const reads = (name: string, weight: number, run: (session: TrafficSession) => Promise<unknown>): ReadOperation => ({
  name, weight,
  run: async (session) => {
    await run(session);
    return undefined;
  },
});

/** Money is neither made nor lost in any single statement, nor in any snapshot. */
const sumBalances: ReadOperation = {
  name: 'sum of balances', weight: 4,
  run: async (session) => {
    const expected = [...session.facts.opening.balances.values()].reduce((sum, cents) => sum + cents, 0);
    const sums: number[] = [];
    const read = async (): Promise<void> => {
      const { rows } = await session.query('SELECT sum(balance) AS total FROM accounts');
      sums.push(Math.round(Number(rows[0]?.['total']) * 100));
    };
    if (session.pick(2) === 0) await read();
    else {
      await session.transaction(async () => {
        await read();
        await read();
      }, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    }
    const wrong = sums.find((sum) => sum !== expected);
    return wrong === undefined ? undefined : `the balances add up to ${wrong} cents, not ${expected}`;
  },
};

export const readOperations: readonly ReadOperation[] = [
  reads('order by key', 30, (session) => session.query('SELECT * FROM orders WHERE id = $1', [orderOf(session)], 'order_by_key')),
  reads('order with items', 20, (session) => session.query(`SELECT i.item_no, i.quantity, p.name, p.price_with_tax FROM order_items i JOIN products p ON p.id = i.product_id
    WHERE i.order_id = $1 ORDER BY i.item_no`, [orderOf(session)])),
  reads('order overview', 10, (session) => session.query(`SELECT * FROM order_overview WHERE id = ${orderOf(session)}`)),
  reads('customer by email', 15, (session) => session.query('SELECT id, name, status, tags, preferences FROM customers WHERE email = $1', [`customer${1 + session.pick(session.facts.customers)}@example.com`], 'customer_by_email')),
  reads('balance', 10, (session) => session.query('SELECT balance FROM accounts WHERE id = $1', [1 + session.pick(session.facts.accounts)], 'balance')),
  reads('latest events', 8, (session) => session.query(`SELECT kind, count(*) FROM events WHERE occurred_at > now() - interval '10 seconds' GROUP BY kind`)),
  reads('document', 3, (session) => session.query('SELECT title, version, length(body) FROM product_documents WHERE product_id = $1', [session.pickFrom(session.facts.documents)])),
  sumBalances,
];

/** True when the session can see the write that it has just been told is done. */
export async function seesOwnWrite(session: TrafficSession, group: SampleGroup): Promise<boolean> {
  const table = { orders: 'order_write_log', accounts: 'account_write_log', events: 'event_write_log' }[group];
  const { runId, clientId } = session.identity;
  const { rows } = await session.query(`SELECT count(*)::int AS seen FROM ${table} WHERE run_id = $1 AND client_id = $2 AND seq = $3`, [runId, clientId, session.seq], `own_${group}`);
  return rows[0]?.['seen'] === 1;
}
