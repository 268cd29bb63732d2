// Refuses to load where no job could start. The first import of the package, so
// that no other error comes before; it imports no builtin module, because the
// bundle of an ES module cannot require one.
import { codedError } from '../errors.js';

checkRuntime();
checkFiles();

/** Other runtimes lack options and functions of Node that jobs need. */
function checkRuntime(): void {
  const other = otherRuntime();
  if (other === undefined) return;
  throw codedError(
    'ERR_JOBSERVER_RUNTIME',
    `jobserver needs Node.js, because its jobs are node processes: it cannot ` +
      `run in ${other}`,
  );
}

function otherRuntime(): string | undefined {
  const { bun, deno, electron } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  if (deno !== undefined) return `Deno ${deno}`;
  if (electron !== undefined && !('ELECTRON_RUN_AS_NODE' in process.env)) {
    return `Electron ${electron}`;
  }
  // Their process.execPath starts the program again, in every job.
  if ('pkg' in process) return 'an executable that pkg has made';
  if (isSingleExecutable()) return 'a single executable application';
  return undefined;
}

function isSingleExecutable(): boolean {
  // Loading node:sea would slow down each job that imports the package.
  if (process.execPath.endsWith('/node')) return false;
  const sea = process.getBuiltinModule?.('node:sea') as
    { isSea(): boolean } | undefined;
  return sea?.isSea() === true;
}

/** A job starts with a file of the package, which a bundle does not contain. */
function checkFiles(): void {
  // In a bundle, it is the path of the bundle, or relative, or missing.
  // scripts/link.mjs makes program.js.
  if (typeof __filename === 'string') {
    if (/^\/.*\/(linked\/program|system\/host)\.js$/.test(__filename)) return;
  }
  throw codedError(
    'ERR_JOBSERVER_BUNDLED',
    'jobserver has been bundled, but its jobs need the files of the package. ' +
      'Mark it as external, and install it beside the bundle: in esbuild ' +
      '`--external:jobserver`, in Rollup and Vite `external: ["jobserver"]`, ' +
      'in webpack `externals: { jobserver: "commonjs jobserver" }`, in ncc ' +
      '`--external jobserver`, in Next.js `serverExternalPackages: ' +
      '["jobserver"]`',
  );
}
