// The options of this node that its workers get: loaders and V8 flags are kept;
// options that make sense in one process only are left out.

const once =
  /^(-[epc]|-pe|-i|--(eval|print|check|interactive|run|inspect.*|debug.*|test.*|watch.*|input-type|env-file.*|title|build-snapshot.*))(=.*)?$/;

// Options whose value is the next argument when they contain no `=`.
const takesValue =
  /^(-[ep]|-pe|--(eval|print|run|inspect-port|debug-port|test-(name-pattern|skip-pattern|reporter|reporter-destination|shard|concurrency|timeout)|watch-path|input-type|env-file|env-file-if-exists|title))$/;

// Since 22, Node passes these on to all of its child processes, whatever options they have.
const permission =
  /^--((experimental-)?permission(-audit)?|allow-(addons|child-process|ffi|fs-.*|inspector|net|openssl-store|wasi|worker))(=.*)?$/;

const switchesOn = /^--(experimental-)?permission$/;

const takesPath = /^--allow-fs-[a-z]+$/;

type Keep = (execArgv: readonly string[], added: readonly string[]) => string[];

interface Known {
  readonly all: string;
  readonly kept: readonly string[];
}

type WorkerExecArgv = (
  execArgv: readonly string[],
  added?: readonly string[],
) => readonly string[];

const none: readonly string[] = [];

/** What is kept, then the added ones. Equal calls in a row return the same array. */
function keeping(keep: Keep): WorkerExecArgv {
  /** By the added options. */
  const latest = new WeakMap<readonly string[], Known>();
  return (execArgv, added = none) => {
    const all = execArgv.join('\0');
    const known = latest.get(added);
    if (known?.all === all) return known.kept;
    const kept = [...keep(execArgv, added), ...added];
    latest.set(added, { all, kept });
    return kept;
  };
}

/** The options of this node that workers keep, then the added ones. */
export const workerExecArgv = keeping(keptOf);

/** The same for workers that inherit none but the permissions of this node. */
export const ownExecArgv = keeping(permissionsOf);

function keptOf(execArgv: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i]!;
    if (!once.test(option)) kept.push(option);
    else if (takesValue.test(option)) i += 1;
  }
  return kept;
}

function permissionsOf(
  execArgv: readonly string[],
  added: readonly string[],
): string[] {
  if (added.some((option) => switchesOn.test(option))) return [];
  return execArgv.filter(
    (option, i) =>
      permission.test(option) || (i > 0 && takesPath.test(execArgv[i - 1]!)),
  );
}
