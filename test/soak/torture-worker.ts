/** A process with the gateway of the torture run: `torture-worker.ts SOURCE_PORT LOCAL_PORT`. Answers each message of its parent with one of the same number. */
import { startTortureGateway } from './torture-gateway.ts';

export type Ask = { readonly number: number } & ({ readonly type: 'sample' } | { readonly type: 'describe'; readonly pid: number });

const address = (port: string | undefined): { host: string; port: number; user: string; database: string } => ({ host: '127.0.0.1', port: Number(port), user: 'postgres', database: 'postgres' });
const gateway = await startTortureGateway(address(process.argv[2]), address(process.argv[3]));

process.on('message', (ask: Ask) => {
  const answer = ask.type === 'sample' ? gateway.sample() : gateway.describe(ask.pid);
  void answer.then((value) => process.send?.({ number: ask.number, value }));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: gateway.port });
