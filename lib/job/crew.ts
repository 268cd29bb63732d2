// The processes of a pool that run several jobs. A job gets one that has nothing to
// do, or else a new one.
import type { ProcessJob } from '../launch/process-job.js';
import { ReusedProcess } from '../launch/reused-process.js';
import { keysOf } from '../launch/zygote-client.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/token.js';
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import type { ProcessUsage } from '../usage.js';
import type { Advice } from './advice.js';
import type { Plan, Reuse } from './plan.js';
import {
  addReserve,
  addStarted,
  removeEnded,
  removeReserve,
} from './shortage.js';
import { Squad } from './squad.js';
import type { WaitingCall } from './waiting-call.js';

/** The pool. */
interface CrewOwner {
  readonly advice: Advice | undefined;
  /** A process has ended. */
  onUsage(usage: ProcessUsage): void;
}

export class Crew {
  readonly #all = new Set<ReusedProcess>();
  readonly #squads = new Map<string, Squad>();
  /** What the last job needed, because the next one mostly needs the same. */
  #latest:
    | (Pick<Order, 'env' | 'execArgv'> & {
        readonly reuse: Reuse;
        readonly squad: Squad;
      })
    | undefined;
  readonly #onChange: () => void;
  readonly #owner: CrewOwner;
  readonly #reserve = (): void => this.#retireIdle();
  #isClosed = false;

  /** `onChange` is called when the number of processes has changed. */
  constructor(onChange: () => void, owner: CrewOwner) {
    this.#onChange = onChange;
    this.#owner = owner;
  }

  /** How many processes have not ended. */
  get size(): number {
    return this.#all.size;
  }

  /** Takes over the token, unless no process can take the job. */
  run(job: ProcessJob, plan: Plan, token: Token): ReusedProcess | undefined {
    const squad = this.#squadFor(plan.order, plan.reuse!);
    for (let process; (process = squad.takeIdle());) {
      if (!process.run(job, token)) continue;
      squad.fill(process);
      return process;
    }
    const process = this.#start(plan.order, plan.reuse!, squad);
    if (process?.run(job, token) !== true) return undefined;
    process.flush();
    return process;
  }

  /** Lets a process have the call before there is a slot. */
  await(call: WaitingCall): void {
    call.squad = this.#squadFor(call.order, call.plan.reuse!);
    call.squad.await(call);
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
    const onRun = this.#measurer(jobsPerProcess);
    try {
      process = new ReusedProcess(order, jobsPerProcess, {
        onRun: (ms) => {
          squad.measure(ms);
          onRun?.(ms);
        },
        onFree: () => {
          if (this.#isClosed) process.retire();
          else squad.addIdle(process);
        },
        onGone: (usage) => {
          if (usage !== undefined) this.#owner.onUsage(usage);
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

  /** Called with the run time of each job of a process that starts now. */
  #measurer(jobsPerProcess: number): ((ms: number) => void) | undefined {
    const { advice } = this.#owner;
    if (advice === undefined) return undefined;
    const startedAt = now();
    let isFirst = true;
    return (ms) => {
      if (isFirst) advice.addProcess(now() - startedAt - ms, jobsPerProcess);
      isFirst = false;
      advice.addRun(ms);
    };
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
    const { context, orphanSignal, maxProcessMemory } = order;
    const own = [context, orphanSignal, jobsPerProcess, idleTimeout];
    const { settings = {}, processGroup, killGrace } = order;
    const group = processGroup ? killGrace : -1;
    const process = `${maxProcessMemory} ${group} ${JSON.stringify(settings)}`;
    const key = `${own.join()} ${process} ${keysOf(order).warm}`;
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
