// The options of this node that its workers get: loaders and V8 flags are kept;
// options that make sense in one process only are left out.

const once =
  /^(-[epc]|-pe|-i|--(eval|print|check|interactive|run|inspect.*|debug.*|test.*|watch.*|input-type|env-file.*|title|build-snapshot.*))(=.*)?$/;

// Options whose value is the next argument when they contain no `=`.
const takesValue =
  /^(-[ep]|-pe|--(eval|print|run|inspect-port|debug-port|test-(name-pattern|skip-pattern|reporter|reporter-destination|shard|concurrency|timeout)|watch-path|input-type|env-file|env-file-if-exists|title))$/;

let latest: { readonly all: string; readonly kept: readonly string[] } = {
  all: '',
  kept: [],
};

/** Returns the same array for the same options. */
export function workerExecArgv(execArgv: readonly string[]): readonly string[] {
  const all = execArgv.join('\0');
  if (latest.all !== all) latest = { all, kept: keptOf(execArgv) };
  return latest.kept;
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
