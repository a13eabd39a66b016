/** A marker is a row (docs/decisions/0002): seeing its change come out proves that everything before it has been delivered. */
import type { ClientBase } from 'pg';

/** In the transaction that is open, if one is. `stream`: the name of the stream that is to see it. */
export async function writeMarkerRow(client: ClientBase, stream: string, token: string): Promise<void> {
  await client.query('INSERT INTO causeway.marker (name, token) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET token = excluded.token, written_at = now()', [stream, token]);
}
