// Makes the site of the documentation, then checks the examples in docstrings.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine, endWithCommands, root, run } from './command.mjs';

const usage = `
Usage: node scripts/docs.mjs

Makes the site of the documentation in site/. Fails when typedoc warns, and when
a public symbol has neither an example nor a link to one.
`;
commandLine(usage);

const temp = mkdtempSync(join(tmpdir(), 'docs-'));
const removeTemp = () => rmSync(temp, { recursive: true, force: true });
const json = join(temp, 'api.json');

endWithCommands(removeTemp);
try {
  const typedoc = 'node_modules/typedoc/bin/typedoc';
  const steps = [
    [typedoc, '--out', 'site', '--json', json],
    ['scripts/check-api-examples.mjs', json],
  ];
  for (const args of steps) {
    const options = { cwd: root, timeoutMs: 180_000, inherit: true };
    const { ok } = await run(process.execPath, args, options);
    if (ok) continue;
    process.exitCode = 1;
    break;
  }
} finally {
  removeTemp();
}
