import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a job waits at until the test lets it go on. */
export interface Gate {
  /** There once the gate is open. */
  readonly file: string;
  open(): void;
}

/**
 * Makes gates, for the tests of a describe block; those that a test leaves
 * closed are opened at its end, so that no job hangs.
 */
export function useGates(): () => Gate {
  let directory: string;
  let count = 0;
  const made: Gate[] = [];
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'gates-'));
  });
  afterEach(() => {
    for (const gate of made.splice(0)) {
      if (!existsSync(gate.file)) gate.open();
    }
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  return () => {
    const file = join(directory, String(count++));
    const gate = { file, open: () => writeFileSync(file, '') };
    made.push(gate);
    return gate;
  };
}
