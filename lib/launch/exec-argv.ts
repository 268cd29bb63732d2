// The options of this node that its workers get: loaders and V8 flags are kept;
// options that make sense in one process only are left out.

const once =
  /^(-[epc]|-pe|-i|--(eval|print|check|interactive|run|inspect.*|debug.*|test.*|watch.*|input-type|env-file.*|title|build-snapshot.*))(=.*)?$/;

// Options whose value is the next argument when they contain no `=`.
const takesValue =
  /^(-[ep]|-pe|--(eval|print|run|inspect-port|debug-port|test-(name-pattern|skip-pattern|reporter|reporter-destination|shard|concurrency|timeout)|watch-path|input-type|env-file|env-file-if-exists|title))$/;

interface Known {
  readonly all: string;
  readonly kept: readonly string[];
}

const none: readonly string[] = [];

/** By the added options. */
const latest = new WeakMap<readonly string[], Known>();

/**
 * The options of this node that workers keep, then the added ones. Equal calls in a row
 * return the same array.
 */
export function workerExecArgv(
  execArgv: readonly string[],
  added = none,
): readonly string[] {
  const all = execArgv.join('\0');
  const known = latest.get(added);
  if (known?.all === all) return known.kept;
  const kept = [...keptOf(execArgv), ...added];
  latest.set(added, { all, kept });
  return kept;
}

function keptOf(execArgv: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i]!;
    if (!once.test(option)) kept.push(option);
    else if (takesValue.test(option)) i += 1;
  }
  return kept;
}
