/** Once a second: the figures of the streams and of the gateway workers for Prometheus. */
import type { ChangeStream } from '../../cdc/ports.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { SourceFlow } from './source-flow.ts';
import type { WorkerFleet } from './worker-fleet.ts';

export function publishFleetMetrics({ metrics }: Runtime, fleet: WorkerFleet): void {
  metrics.gauge('scratchbird_gateway_epoch', {}, fleet.epoch);
  const { live, silent } = fleet.counts;
  metrics.gauge('scratchbird_gateway_workers', { state: 'live' }, live);
  metrics.gauge('scratchbird_gateway_workers', { state: 'silent' }, silent);
  // From the start, so that a rate over it has a first value.
  metrics.count('scratchbird_gateway_serialization_failures_total', { cause: 'barrier' }, 0);
}

export function publishStreamMetrics(runtime: Runtime, flows: readonly SourceFlow[]): void {
  for (const flow of flows) {
    for (const stream of [flow.forward, flow.reverse]) {
      if (hasBegun(stream)) publishStream(runtime, stream);
      else for (const name of streamGauges) runtime.metrics.remove(name, { stream: stream.name });
    }
  }
}

const streamGauges = ['scratchbird_gateway_stream_connected', 'scratchbird_gateway_spool_bytes', 'scratchbird_gateway_spool_limit_bytes', 'scratchbird_gateway_spool_stopped_bytes', 'scratchbird_gateway_slot_retained_bytes'] as const;

/** A stream that no table has asked for, or none asks for any more, is not missing. */
function hasBegun(stream: ChangeStream): boolean {
  const { connected, lastError, durable } = stream.health();
  return connected || lastError !== undefined || durable !== undefined;
}

function publishStream({ metrics }: Runtime, stream: ChangeStream): void {
  const { connected, spoolBytes, spoolLimit, stoppedBytes, retainedBytes } = stream.health();
  metrics.gauge('scratchbird_gateway_stream_connected', { stream: stream.name }, connected ? 1 : 0);
  metrics.gauge('scratchbird_gateway_spool_bytes', { stream: stream.name }, spoolBytes);
  metrics.gauge('scratchbird_gateway_spool_limit_bytes', { stream: stream.name }, spoolLimit);
  metrics.gauge('scratchbird_gateway_spool_stopped_bytes', { stream: stream.name }, stoppedBytes);
  if (retainedBytes !== undefined) metrics.gauge('scratchbird_gateway_slot_retained_bytes', { stream: stream.name }, retainedBytes);
}
