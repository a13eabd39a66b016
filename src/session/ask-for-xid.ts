/** The id of a unit's transaction, asked for behind the unit's own messages; the answers are swallowed. */
import { bind, execute, parse } from '../wire/frontend-messages.ts';
import type { Leg } from './leg.ts';
import type { SessionCore } from './session-core.ts';
import { xidSql } from './transaction-control.ts';

const XID_PORTAL = 'causeway_xid';

export function askForXid(core: SessionCore, leg: Leg): void {
  const { backend } = leg;
  if (!backend) return;
  const segment = core.unitSegment(leg);
  const messages: Buffer[] = [];
  let name = backend.xid.name;
  if (name === undefined) {
    name = backend.xid.next();
    segment.xidParse = { ordinal: segment.parsesSent, name };
    segment.injectParse();
    messages.push(parse(name, xidSql(leg)));
  }
  segment.injectBind();
  core.send(leg, Buffer.concat([...messages, bind(XID_PORTAL, name), execute(XID_PORTAL)]));
}
