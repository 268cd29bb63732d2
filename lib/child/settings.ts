// Enters what the controls of a job say about its process. Loaded only by a job that
// has such controls.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { ProcessSettings, ResourceLimits } from '../protocol/settings.js';
import { check, native } from '../system/binding.js';

/** In the order of `kResources` in native/limits.cc. */
const resources = [
  'cpuTime',
  'addressSpace',
  'fileSize',
  'openFiles',
  'coreDump',
] as const;

/** Throws a system error for what this process may not do. */
export function enterSettings(settings: ProcessSettings): void {
  const { nice, limits = {}, oomScoreAdj } = settings;
  if (oomScoreAdj !== undefined) addToOomScore(oomScoreAdj);
  if (nice !== undefined) setNice(nice);
  for (const name of resources) {
    const value = limits[name];
    if (value !== undefined && name !== 'cpuTime') limit(name, value);
  }
  limitCpuTime(settings);
}

/** From now on; a process of several jobs calls it for each. */
export function limitCpuTime({ limits }: ProcessSettings): void {
  if (limits?.cpuTime === undefined) return;
  const { user, system } = process.cpuUsage();
  const seconds = Math.ceil((limits.cpuTime + (user + system) / 1000) / 1000);
  // The kernel would end the process at the hard limit, without SIGXCPU; and the
  // next job could not raise it.
  set('cpuTime', seconds, false);
}

function limit(name: keyof ResourceLimits, value: number): void {
  set(name, value + (name === 'addressSpace' ? mappedBytes() : 0), true);
}

function set(
  name: keyof ResourceLimits,
  value: number,
  isFinal: boolean,
): void {
  const resource = resources.indexOf(name);
  check(native.setLimit(resource, value, isFinal), `set the limit ${name}`);
}

// Node alone maps more than most jobs would ever use.
function mappedBytes(): number {
  const status = readFileSync('/proc/self/status', 'latin1');
  return Number(/^VmSize:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function addToOomScore(more: number): void {
  const file = '/proc/self/oom_score_adj';
  const score = Number(readFileSync(file, 'latin1')) + more;
  writeFileSync(file, String(Math.min(1000, score)));
}

// Linux has a level for each thread, and those of V8 have started already.
function setNice(level: number): void {
  setPriority(level);
  if (process.platform !== 'linux') return;
  for (const thread of readdirSync('/proc/self/task')) {
    setPriority(Number(thread), level);
  }
}
