/**
 * The bare byte pipe of `bench proxy`: what Node.js costs at the least when it stands between a client and a server. A parent that
 * hands out connections and as many workers as the gateway has. Arguments: port, port of the server, workers.
 */
import cluster from 'node:cluster';
import * as net from 'node:net';

const [port, serverPort, workers] = process.argv.slice(2).map(Number);

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', () => {
    listening += 1;
    if (listening === workers) process.send?.('ready');
  });
  for (let index = 0; index < (workers ?? 1); index += 1) cluster.fork();
  // Its workers end with it, as it does with the benchmark.
  process.once('disconnect', () => process.exit(0));
} else {
  const server = net.createServer({ noDelay: true }, (client) => {
    const leg = net.connect({ host: '127.0.0.1', port: serverPort ?? 0, noDelay: true });
    client.pipe(leg);
    leg.pipe(client);
    client.on('error', () => leg.destroy());
    leg.on('error', () => client.destroy());
  });
  server.listen({ host: '127.0.0.1', port: port ?? 0 });
}

// Ctrl-C reaches every process of the terminal; the benchmark ends this one when its turn has come.
process.on('SIGINT', () => undefined);
