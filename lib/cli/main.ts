#!/usr/bin/env node
// The command `jobserver`. Its first word names what it does. A word that it does not
// know is an error, and never a program to run: a spelling mistake must not start one.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, parse } from './command.js';
import { Failure, UsageError, exitCodes } from './exit.js';

// Loaded when they are named, because bullmq takes a tenth of a second.
const commands = new Map<string, { summary: string; load: () => Command }>([
  [
    'worker',
    {
      summary: 'run jobs of a queue in Redis on this machine',
      load: () =>
        (require('./worker.js') as typeof import('./worker.js')).worker,
    },
  ],
  [
    'status',
    {
      summary: 'print the hosts, the slots and the jobs of a queue',
      load: () =>
        (require('./status.js') as typeof import('./status.js')).status,
    },
  ],
]);

/** Words that will be commands. */
const reserved = ['each', 'all', 'take', 'env', 'trace'];

const usage = `Usage: jobserver COMMAND [options]

Commands:
${[...commands].map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`).join('\n')}

Options:
  -h, --help     print this help, or that of a command: jobserver worker --help
      --version  print the version of the package

Exit codes: 0 done, 1 failed, 2 wrong command line.
`;

const options = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

async function main(args: readonly string[]): Promise<number> {
  const [word] = args;
  if (word === undefined) throw new UsageError('A command is missing');
  if (word.startsWith('-')) return withoutCommand(args);
  const command = commands.get(word)?.load();
  if (command === undefined) throw unknownWord(word);
  // Also where other options are wrong.
  const rest = args.slice(1);
  const end = rest.indexOf('--');
  const given = end < 0 ? rest : rest.slice(0, end);
  if (given.includes('--help') || given.includes('-h')) {
    process.stdout.write(command.usage);
    return exitCodes.done;
  }
  return command.run(rest);
}

function withoutCommand(args: readonly string[]): number {
  if (args.includes('--')) {
    throw new UsageError(
      'This version cannot run a program in a pool yet: `jobserver -- CMD` is ' +
        'reserved for that',
    );
  }
  const { values, positionals } = parse(undefined, args, options);
  if (values.help === true) process.stdout.write(usage);
  else if (values.version === true) process.stdout.write(`${version()}\n`);
  else throw unknownWord(positionals[0] ?? '');
  return exitCodes.done;
}

function unknownWord(word: string): UsageError {
  const names = [...commands.keys()].join(' and ');
  const text = JSON.stringify(word);
  return new UsageError(
    reserved.includes(word)
      ? `\`jobserver ${word}\` does not exist yet: the word is reserved. There are ${names}`
      : `There is no command ${text}. There are ${names}`,
  );
}

function version(): string {
  const file = join(__dirname, '..', '..', 'package.json');
  const text = readFileSync(file, 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    const words = ['jobserver', error.command, '--help'].filter(Boolean);
    process.stderr.write(
      `jobserver: ${error.message}\nSee \`${words.join(' ')}\`.\n`,
    );
    return exitCodes.usage;
  }
  const text =
    error instanceof Failure
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`jobserver: ${text}\n`);
  return exitCodes.failed;
}

// A reader such as `head` may be gone.
process.stdout.on('error', () => {
  process.exit(exitCodes.failed);
});
void main(process.argv.slice(2))
  .catch(report)
  .then((code) => {
    process.exitCode = code;
  });
