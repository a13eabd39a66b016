/** What a statement that is sent to a leg may change in the session, so that the other leg can be brought to it. Cautious: may say so too often. */
import type { Side } from '../../catalog/routing-snapshot.ts';
import type { StatementFacts } from '../../grammar/sql/statement-facts.ts';
import type { Leg } from './leg.ts';
import type { LocalLeg } from './local-leg.ts';
import type { SessionCore } from './session-core.ts';
import { traitsOf } from './text-traits.ts';
import type { TextTraits } from './text-traits.ts';

/** Settings that change where names lead, or how transactions begin. */
const contextSettings = /^(?:search_path|role|session_authorization|default_transaction_.*|all)$/;

export class SessionEffects {
  readonly #core: SessionCore;
  readonly #localLeg: LocalLeg;

  constructor(core: SessionCore, localLeg: LocalLeg) {
    this.#core = core;
    this.#localLeg = localLeg;
  }

  /** `text` is asked for only when it has to be kept; `isShape`: what it prepares is over both sides. */
  apply(traits: TextTraits, leg: Leg, text: () => string, isShape = false): void {
    const isAlone = traits.single !== undefined && this.#core.tx === undefined;
    for (const statement of traits.statements) {
      this.#core.carried?.sent(statement, isAlone, text);
      this.#localLeg.settingsNamed(statement.customSettings);
      if (statement.kind === 'prepare') this.#prepared(statement, traits, leg, text, isShape);
      else this.#applyOne(statement, traits, leg, text);
    }
  }

  #applyOne(statement: StatementFacts, traits: TextTraits, leg: Leg, text: () => string): void {
    const core = this.#core;
    switch (statement.kind) {
      case 'deallocate':
        this.#deallocated(statement, leg, text);
        break;
      case 'listen':
      case 'unlisten':
        this.#stateChanged(false);
        this.#replicate(leg, text);
        break;
      case 'discard':
        this.#discarded(statement, leg, text);
        break;
      case 'set':
      case 'reset':
        this.#stateChanged(statement.setting === undefined || contextSettings.test(statement.setting.name));
        break;
      case 'declare_cursor':
        if (statement.objectName !== undefined) this.#declared(statement.objectName, statement.flags.withHold, traits, leg);
        break;
      case 'close_cursor':
        if (statement.objectName === undefined) core.cursors.clear();
        else core.cursors.delete(statement.objectName);
        break;
      case 'create_temp':
        if (statement.objectName !== undefined) core.temporaryTables = new Map<string, Side>([...core.temporaryTables, [statement.objectName, leg.side]]);
        if (core.tx) core.tx.changedSession = true;
        break;
      case 'ddl':
        if (core.temporaryTables.size > 0 || /SCHEMA/.test(statement.command ?? 'SCHEMA')) core.contextDirty = true;
        if (core.tx) core.tx.changedSession = true;
        break;
      case 'call':
      case 'do':
        this.#stateChanged(true);
        break;
      default:
        if (statement.flags.sessionEffect && !statement.flags.advisoryLock) this.#stateChanged(true);
    }
  }

  /** Of a text that was not read. */
  unknown(): void {
    this.#core.carried?.tie('a text that was not read');
    this.#stateChanged(true);
  }

  #stateChanged(contextToo: boolean): void {
    const core = this.#core;
    core.stateVersion += 1;
    if (contextToo) core.contextDirty = true;
    if (core.tx) core.tx.changedSession = true;
  }

  #declared(name: string, withHold: boolean, traits: TextTraits, leg: Leg): void {
    const core = this.#core;
    if (!withHold) core.tx?.cursors.add(name);
    // By itself and outside a block it is an error.
    if (withHold || core.tx || !traits.single) core.cursors.set(name, leg.side);
  }

  #prepared(statement: StatementFacts, traits: TextTraits, leg: Leg, text: () => string, isShape: boolean): void {
    if (statement.objectName === undefined) return;
    const own = traits.single ? traits : traitsOf({ type: 'sql', statements: [statement] });
    const on = { source: !isShape && leg.side === 'source', local: !isShape && leg.side === 'local' };
    // A text with several statements cannot be replayed for one of them: such a statement stays where it is.
    this.#core.statements.add({ name: statement.objectName, origin: { type: 'sql', text: traits.single ? text() : '' }, traits: own, sql: undefined, on, shapeOn: isShape ? leg.side : undefined, described: undefined });
  }

  #deallocated(statement: StatementFacts, leg: Leg, text: () => string): void {
    const { statements } = this.#core;
    if (statement.objectName === undefined || statement.objectName === 'all') {
      statements.clear();
      this.#gatewaysOwnAreGone();
      this.#replicate(leg, () => 'DEALLOCATE ALL', true);
    } else {
      const other: Side = leg.side === 'source' ? 'local' : 'source';
      const removed = statements.remove(statement.objectName);
      if (removed?.on[other] || removed?.shapeOn === other) this.#replicate(leg, text);
    }
  }

  #discarded(statement: StatementFacts, leg: Leg, text: () => string): void {
    const core = this.#core;
    if (statement.objectName === 'all') {
      core.statements.clear();
      this.#gatewaysOwnAreGone();
      core.portals.clear();
    }
    if (statement.objectName === 'all' || statement.objectName === 'temp') core.temporaryTables = new Map();
    this.#stateChanged(true);
    this.#replicate(leg, text, statement.objectName === 'all');
  }

  #gatewaysOwnAreGone(): void {
    this.#core.home.backend?.xid.forget();
    this.#core.local?.backend?.xid.forget();
  }

  /** On the other leg too, when it is there and can be asked. LISTEN opens local, whose writers may notify. */
  #replicate(leg: Leg, text: () => string, forgetsStatements = false): void {
    const core = this.#core;
    const other = leg === core.home ? core.local : core.home;
    // A pooled connection that the session does not have has nothing of its own.
    if (other && core.carried && !other.backend) return;
    if (other && !(core.tx?.begun[other.side] ?? false) && core.unit.leg !== other) {
      core.ask(other, text(), () => undefined);
      if (forgetsStatements) other.backend?.prepared.clear();
    }
    else if (!other && core.services.view().usesLocal) this.#localLeg.openInBackground();
  }
}
