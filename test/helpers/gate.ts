import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A job waits at a gate until the test opens it. */
export interface Gate {
  /** Exists once the gate is open. */
  readonly file: string;
  open(): void;
}

/**
 * Returns a function that makes gates for the tests of a describe block. Gates
 * that a test leaves closed are opened after it, so that no job hangs.
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
