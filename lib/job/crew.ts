// The processes of a pool that run several jobs. A job gets the one that it was
// sent to ahead, or one that has nothing to do, or else a new one.
import type { ProcessJob } from '../launch/process-job.js';
import { ReusedProcess } from '../launch/reused-process.js';
import { keyOf } from '../launch/zygote-client.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';
import { trace } from '../system/trace.js';
import type { Plan, Reuse } from './running-job.js';
import {
  addReserve,
  addStarted,
  removeEnded,
  removeReserve,
} from './shortage.js';
import { Squad, WaitingCall } from './squad.js';

export class Crew {
  readonly #all = new Set<ReusedProcess>();
  readonly #calls = new Map<Plan, WaitingCall>();
  readonly #squads = new Map<string, Squad>();
  /** What the last job needed, because the next one mostly needs the same. */
  #latest:
    | (Pick<Order, 'env' | 'execArgv'> & {
        readonly reuse: Reuse;
        readonly squad: Squad;
      })
    | undefined;
  readonly #onChange: () => void;
  readonly #reserve = (): void => this.#retireIdle();
  #isClosed = false;

  /** `onChange` is called when the number of processes has changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** How many processes have not ended. */
  get size(): number {
    return this.#all.size;
  }

  /** Undefined where no process can take the job. */
  run(job: ProcessJob, plan: Plan): ReusedProcess | undefined {
    const call = this.#calls.get(plan);
    this.#calls.delete(plan);
    if (call?.isOnTurn === true) {
      call.process!.adopt(job);
      return call.process;
    }
    const squad = this.#squadFor(plan.order, plan.reuse!);
    for (let process; (process = squad.takeIdle());) {
      if (process.run(job)) return process;
    }
    const process = this.#start(plan.order, plan.reuse!, squad);
    return process?.run(job) === true ? process : undefined;
  }

  /** Sends a call that waits for a slot to a process ahead, if it can. */
  await(plan: Plan, grant: (token: Token) => void): void {
    const squad = this.#squadFor(plan.order, plan.reuse!);
    const call = new WaitingCall(plan, squad, grant);
    this.#calls.set(plan, call);
    squad.await(call);
  }

  /** False when its process has begun it, and it has been granted a slot. */
  recall(plan: Plan): boolean {
    return this.#calls.get(plan)?.recall() ?? true;
  }

  /** The call waits no longer. */
  forget(plan: Plan): void {
    const call = this.#calls.get(plan);
    if (call === undefined) return;
    call.squad.forget(call);
    // It is needed until its job has started.
    if (!call.isOnTurn) this.#calls.delete(plan);
  }

  /** Ends each process as soon as it has no job. */
  close(): void {
    this.#isClosed = true;
    this.#retireIdle();
  }

  #start(
    order: Order,
    { jobsPerProcess }: Reuse,
    squad: Squad,
  ): ReusedProcess | undefined {
    let process: ReusedProcess;
    try {
      process = new ReusedProcess(order, jobsPerProcess, {
        onRun: (ms) => {
          squad.measure(ms);
        },
        onFree: () => {
          if (this.#isClosed) process.retire();
          else squad.addIdle(process);
        },
        onGone: () => {
          squad.delete(process);
          this.#forget(process);
        },
      });
    } catch (error) {
      // A process for this one job will fail in the same way, or wait.
      trace('no process for several jobs could be started: %s', error);
      return undefined;
    }
    if (this.#all.size === 0) addReserve(this.#reserve);
    this.#all.add(process);
    squad.add(process);
    addStarted();
    this.#onChange();
    return process;
  }

  #forget(process: ReusedProcess): void {
    this.#all.delete(process);
    if (this.#all.size === 0) removeReserve(this.#reserve);
    this.#onChange();
    removeEnded();
  }

  #squadFor(order: Order, reuse: Reuse): Squad {
    const { env, execArgv } = order;
    const latest = this.#latest;
    const isSame =
      latest?.reuse === reuse &&
      latest.env === env &&
      latest.execArgv === execArgv;
    if (isSame) return latest.squad;
    const squad = this.#squadOf(order, reuse);
    this.#latest = { env, execArgv, reuse, squad };
    return squad;
  }

  #squadOf(order: Order, { jobsPerProcess, idleTimeout }: Reuse): Squad {
    const { context, orphanSignal } = order;
    const own = [context, orphanSignal, jobsPerProcess, idleTimeout];
    const key = `${own.join()} ${keyOf(order)}`;
    let squad = this.#squads.get(key);
    if (squad === undefined) {
      squad = new Squad(idleTimeout);
      this.#squads.set(key, squad);
    }
    return squad;
  }

  #retireIdle(): void {
    for (const squad of this.#squads.values()) squad.retireIdle();
  }
}
