// When V8 optimizes a function. It expects a process to live long, and to have another
// thread that compiles. The forks of a zygote have neither: they compile on the only
// thread, and what they have compiled ends with the job. So a function has to be hotter
// here before V8 optimizes it. One that is hot for long is optimized all the same, after
// some milliseconds more.
import { setFlagsFromString } from 'node:v8';

// V8 writes an error for a flag that it does not know. It may drop one, so a version
// that is newer than these keeps its defaults.
const newestVersion = 14;

// Sixteen times as hot as by default, in all versions.
const ticksFlags =
  '--ticks-before-optimization=12 --max-bytecode-size-for-early-opt=0';
const inTicks = `${ticksFlags} --interrupt-budget=${4 * 67_584}`;
const inInvocations = [
  `--invocation-count-for-turbofan=${16 * 3_000}`,
  `--invocation-count-for-osr=${16 * 500}`,
  `--invocation-count-for-maglev=${16 * 400}`,
  `--invocation-count-for-maglev-osr=${16 * 100}`,
  `--minimum-invocations-after-ic-update=${16 * 500}`,
].join(' ');

// After a warm-up, which has compiled what pays: four times as hot again. Where V8 counts
// invocations, higher numbers change little in a job: V8 has set the next count of each
// function during the warm-up, and reads the flags only when that count is reached.
const inTicksIfWarm = `${ticksFlags} --interrupt-budget=${16 * 67_584}`;

const version = process.versions.v8;
// That of Node 20 counts ticks of a budget, and later ones invocations.
const countsTicks = version.startsWith('11.3.');

/**
 * For this process from now on, and for its forks. `isWarm`: it has the code of a
 * warm-up. Called after the exercises and the warm-up: the zygote compiles as soon as
 * any process, because what it compiles is not lost.
 */
export function optimizeLater(isWarm: boolean): void {
  if (Number.parseInt(version, 10) > newestVersion) return;
  if (!countsTicks) setFlagsFromString(inInvocations);
  else setFlagsFromString(isWarm ? inTicksIfWarm : inTicks);
}
