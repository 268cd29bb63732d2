// Random numbers in the contexts of node:vm, each of which has a Math of its own. V8
// seeds it from a generator of the process, whose state a fork copies: the contexts of
// all forks would have the same numbers, whether they were made before the fork or
// after it.
import vm from 'node:vm';
import { syncBuiltinESMExports } from 'node:module';

/** A constant of Node, in the place of an object, asks for another kind of context. */
type Target = Parameters<typeof vm.createContext>[0];

/** What of node:vm makes a context. */
interface Makers {
  createContext: typeof vm.createContext;
  runInNewContext: typeof vm.runInNewContext;
}

interface ScriptMaker {
  runInNewContext: (
    this: vm.Script,
    target: Target,
    options?: object,
  ) => unknown;
}

let isReplaced = false;

/** Has `random` serve the contexts that are made from now on. */
export function replaceInContexts(random: () => number): void {
  if (isReplaced) return;
  isReplaced = true;
  const makers = vm as Makers;
  const { createContext, runInNewContext } = makers;
  const { prototype } = vm.Script as { prototype: ScriptMaker };
  const { runInNewContext: runScript } = prototype;

  const made: Makers['createContext'] = (target, options) => {
    // The user may have replaced what is in it.
    const isNew = typeof target !== 'object' || !vm.isContext(target);
    const context = createContext(target, options);
    if (isNew) replaceIn(context, random);
    return context;
  };
  /** The context in which Node would run the code. */
  const madeFor = (target: Target, options: unknown): Target => {
    try {
      return made(target, creationOf(options));
    } catch {
      // Node reports what is wrong with them.
      return target;
    }
  };
  makers.createContext = made;
  makers.runInNewContext = (code, target, options) =>
    runInNewContext(code, madeFor(target, options), options) as unknown;
  prototype.runInNewContext = function (target, options) {
    const context = madeFor(target, options);
    return Reflect.apply(runScript, this, [context, options]);
  };
  // For those who import these functions by their names.
  syncBuiltinESMExports();
}

// Two objects, and a function that makes a function, all of the realm of the context.
// Math may be one that the user has put there.
const parts = `[
  typeof Math === 'object' ? Math : undefined,
  {},
  (next) => ({ random() { return next(); } }).random,
]`;
let script: vm.Script | undefined;

function replaceIn(context: vm.Context, random: () => number): void {
  try {
    script ??= new vm.Script(parts, { filename: 'jobserver-random' });
    const [math, plain, wrap] = script.runInContext(context) as [
      object | undefined,
      object,
      (next: () => number) => unknown,
    ];
    if (math === undefined) return;
    if (Object.getPrototypeOf(math) !== Object.getPrototypeOf(plain)) return;
    const value = wrap(random);
    const property = { value, configurable: true, writable: true };
    Object.defineProperty(math, 'random', property);
  } catch {
    // A getter of the user has thrown.
  }
}

/** The options of createContext among those of code that runs in a new context. */
function creationOf(options: unknown): vm.CreateContextOptions {
  const {
    contextName: name,
    contextOrigin: origin,
    contextCodeGeneration: codeGeneration,
    microtaskMode,
  } = Object(options) as vm.RunningCodeInNewContextOptions;
  const given = { name, origin, codeGeneration, microtaskMode };
  const isGiven = ([, value]: [string, unknown]): boolean =>
    value !== undefined;
  return Object.fromEntries(Object.entries(given).filter(isGiven));
}
