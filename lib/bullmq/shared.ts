// What the handles of one ClusterExecutor share: the connection, the calls, the counts.
import { CallTimes } from '../executor/call-times.js';
import { Claims } from './claims.js';
import { Connection } from './connection.js';
import type { Flight } from './flight.js';
import { checkStore, joinedCluster } from './joined.js';
import { type ClusterExecutorOptions, settingsOf } from './options.js';
import { Submissions } from './submissions.js';

export class Shared {
  readonly submissions: Submissions;
  readonly claims: Claims | undefined;
  /** Added to that of each call, so that children rank above their parents. */
  readonly priority: number;
  readonly times = new CallTimes();
  completed = 0;
  isShutdown = false;
  end: Promise<void> | undefined;
  onIdle: (() => void) | undefined;
  #isRef = true;

  constructor(options: ClusterExecutorOptions, isDetached: boolean) {
    const joined = joinedCluster();
    const isOfOtherServer = options.connection !== undefined;
    const inherited = isOfOtherServer ? undefined : joined;
    checkStore(inherited, options.store);
    const settings = settingsOf(options, inherited?.settings);
    const connection: Connection = new Connection(settings, (error) => {
      this.submissions.onConnectionError(error);
    });
    this.submissions = new Submissions(connection, isDetached, {
      onChange: () => {
        this.#onChange();
      },
      onMeasure: (flight) => {
        this.#measure(flight);
      },
      onPending: () => {
        this.claims?.watch();
      },
    });
    this.priority = inherited === undefined ? 0 : inherited.priority + 1;
    if (inherited?.settings.queue === settings.queue) {
      this.claims = new Claims(this.submissions);
    }
  }

  set isRef(isRef: boolean) {
    this.#isRef = isRef;
    this.#onChange();
  }

  async finish(): Promise<void> {
    if (!this.submissions.isIdle) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    this.submissions.connection.hold(true);
    await this.claims?.close();
    await this.submissions.close();
  }

  #onChange(): void {
    const { isIdle, connection } = this.submissions;
    connection.hold(this.#isRef && !isIdle);
    if (isIdle) this.onIdle?.();
  }

  #measure({ plan: { record } }: Flight): void {
    this.completed += 1;
    this.times.add(record);
  }
}
