/**
 * A port for a server of a test. It stays this process's own until that ends, and no other test of the machine is given it (a name in Linux's abstract
 * namespace says so), since a server is started seconds later, and is stopped and started again. And it is below those that the kernel gives to
 * who asks for any, a connection or another test's listener: one of them would have it when the server comes.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';

/** Above the well-known ones; of the product's own defaults there are some in between, for those who run it beside the tests. */
const LOWEST = 10_000;
const ATTEMPTS = 1_000;

export async function freePort(): Promise<number> {
  const range = ownRange();
  for (let attempt = 0; range !== undefined && attempt < ATTEMPTS; attempt += 1) {
    const port = range.from + Math.floor(Math.random() * (range.to - range.from));
    if (await isListening(`\0causeway-test-port-${port}`, true) && await isListening({ host: '127.0.0.1', port }, false)) return port;
  }
  return ofKernel();
}

/** Undefined where the kernel gives nearly all ports to connections, or is another one. */
function ownRange(): { readonly from: number; readonly to: number } | undefined {
  try {
    const to = Number(fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t')[0]);
    return to >= LOWEST + 2_000 ? { from: LOWEST, to } : undefined;
  } catch {
    return undefined;
  }
}

/** True when nobody had it. `forGood`: until this process ends. */
function isListening(at: string | net.ListenOptions, forGood: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().unref();
    server.once('error', () => resolve(false));
    server.listen(at, () => (forGood ? resolve(true) : server.close(() => resolve(true))));
  });
}

function ofKernel(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
