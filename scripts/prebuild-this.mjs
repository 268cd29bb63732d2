// Builds the stripped binary of this machine's platform into prebuilds/.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { command, commandLine, endWithCommands, root } from './command.mjs';
import { headersOfThisNode, makeStage } from './stage.mjs';

const usage = `
Usage: node scripts/prebuild-this.mjs

Builds the binary of this machine's platform into prebuilds/, as the release
does. Needs Python 3, make and a C++17 compiler.
`;

export async function prebuildThis() {
  const stage = makeStage('prebuild-this-');
  try {
    const prebuildify = join(root, 'node_modules', 'prebuildify', 'bin.js');
    const args = [prebuildify, '--napi', '--strip'];
    const env = { ...process.env, ...headersOfThisNode() };
    await command(process.execPath, args, { cwd: stage, env, minutes: 10 });
    const from = join(stage, 'prebuilds');
    cpSync(from, join(root, 'prebuilds'), { recursive: true });
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  commandLine(usage);
  endWithCommands();
  await prebuildThis();
}
