// A shell in a terminal of its own.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { stateOf } from './processes.js';
import { until } from './until.js';

const program = resolve('test', 'fixtures', 'terminal.py');

export interface Terminal {
  type(text: string): void;
  /** What it shows, without what was shown before the last call. */
  untilShown(text: string): Promise<string>;
  /** Closes the terminal, and waits until no process of its session is left. */
  close(): Promise<void>;
}

export async function openTerminal(): Promise<Terminal> {
  const env = { ...process.env, ENV: '', TERM: 'dumb' };
  const relay = spawn('python3', [program, 'sh', '-i'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  relay.stdout.setEncoding('utf8').on('data', (text) => (shown += text));
  const untilShown = async (text: string): Promise<string> => {
    const isShown = (): boolean => shown.includes(text);
    await until(`the terminal to show ${text}`, isShown).catch(() => {
      expect(shown).toContain(text);
    });
    const before = shown.slice(0, shown.indexOf(text));
    shown = shown.slice(before.length + text.length);
    return before;
  };
  // Split, because the terminal shows what is typed as well.
  relay.stdin.write("PS1='[prom''pt]'\n");
  const [, session] = (await untilShown('[prompt]')).match(/session (\d+)/)!;
  return {
    type: (text) => void relay.stdin.write(text),
    untilShown,
    close: async () => {
      relay.stdin.end();
      const left = (): number[] => membersOf(Number(session));
      try {
        await until('the session to end', () => left().length === 0);
      } catch {
        const names = left().map((pid) => `${pid} ${commandOf(pid)}`);
        for (const pid of left()) process.kill(pid, 'SIGKILL');
        expect(names).toEqual([]);
      }
    },
  };
}

/** The processes of a session, without those that only have to be reaped. */
function membersOf(session: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && sessionOf(pid) === session)
    .filter((pid) => !'XZ'.includes(stateOf(pid)));
}

function sessionOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
