/** A worker asks what the translation of statements has to know of a table. */
import type { ControlContext } from './control-context.ts';
import type { WorkerMessage } from './fleet-messages.ts';
import { detailsOf, routedKeys } from './table-details.ts';
import type { FleetWorker } from './worker-fleet.ts';

/** False: the message is another one. A catalog that cannot be read answers nothing; the worker gives up some time. */
export function answerFacts({ catalog, runtime }: ControlContext, { channel }: FleetWorker, message: WorkerMessage): boolean {
  if (message.type !== 'facts_request') return false;
  const { table } = message;
  catalog.tables().then((records) => {
    const record = records.find((each) => routedKeys(each).includes(table));
    const facts = record && detailsOf(record).translation;
    channel.send({ type: 'facts_answer', table, ...(facts === undefined ? {} : { facts }) });
  }).catch((error: unknown) => runtime.log.warn('what is known of a table could not be read', { table, error: String(error) }));
  return true;
}
