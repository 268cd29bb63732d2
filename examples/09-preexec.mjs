// replacePreexec sets a function that runs in the process of the job before the
// job's own function. It may return a Disposable, which is disposed after the
// job.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Jobserver, isWorker } from 'jobserver';

let connection;

// Stands for a resource that each job needs and has to close.
export function connect(journal, name) {
  const note = (text) => appendFileSync(journal, `${text}\n`);
  note(`open ${name}`);
  connection = { note };
  return {
    [Symbol.dispose]() {
      note(`close ${name}`);
    },
  };
}

export function refuse(reason) {
  throw new Error(reason);
}

export async function enterFolder(folder) {
  process.chdir(folder);
}

export function query(text) {
  connection.note(`query ${text}`);
  if (text === '') throw new SyntaxError('Empty query');
  return text.length;
}

export function currentFolder() {
  return process.cwd();
}

if (!isWorker) {
  // The temporary folder of macOS is a symbolic link.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'jobserver-')));
  const journal = join(folder, 'journal');
  const jobserver = new Jobserver({ slots: 1 });
  try {
    const connected = jobserver.replacePreexec(connect, journal, 'main');
    assert.equal(await connected.run(query, 'select'), 6);
    // It is also disposed when the job throws.
    await assert.rejects(connected.run(query, ''), SyntaxError);
    assert.deepEqual(readFileSync(journal, 'utf8').trim().split('\n'), [
      'open main',
      'query select',
      'close main',
      'open main',
      'query ',
      'close main',
    ]);

    // A second call replaces the function. It may be asynchronous and may
    // return nothing.
    const moved = connected.replacePreexec(enterFolder, folder);
    assert.equal(await moved.run(currentFolder), folder);
    assert.notEqual(process.cwd(), folder);

    // If it throws, the job's own function is not called.
    const refused = jobserver.replacePreexec(refuse, 'Not today');
    await assert.rejects(refused.run(query, 'more'), { message: 'Not today' });
    assert.ok(!readFileSync(journal, 'utf8').includes('more'));
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('Preexec opened and closed a connection around each job.');
}
