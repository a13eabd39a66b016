/** `npm start -- --traffic`: a writer that shows itself, one line a second. */
import type { Settings } from '../../config/settings.ts';
import { runTraffic } from './sample/traffic.ts';

export function showTraffic(settings: Settings, say: (line: string) => void): AsyncDisposable {
  const stop = new AbortController();
  const running = runTraffic({
    host: '127.0.0.1', port: settings.listen.port, user: 'app', database: 'shop', connections: 8, targetTps: 300, signal: stop.signal,
    onStats: (stats) => say(`traffic: ${stats.writesPerSecond} writes/s, ${stats.writes} acknowledged, ${stats.errorCount} errors, p99 ${stats.writeLatency.p99Ms.toFixed(1)} ms`),
  }).catch((error: unknown) => say(`traffic ended: ${error instanceof Error ? error.message : String(error)}`));
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}
