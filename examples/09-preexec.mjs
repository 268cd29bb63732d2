// replacePreexec names a function that runs in the job's process just before
// the job. It may return a Disposable, which is released after the job.
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

// A stand-in for what each job needs and none may leave open.
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
  // macOS has its temporary folder behind a symbolic link.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'jobserver-')));
  const journal = join(folder, 'journal');
  const jobserver = new Jobserver({ slots: 1 });
  try {
    const connected = jobserver.replacePreexec(connect, journal, 'main');
    assert.equal(await connected.run(query, 'select'), 6);
    // Released as well when the job throws.
    await assert.rejects(connected.run(query, ''), SyntaxError);
    assert.deepEqual(readFileSync(journal, 'utf8').trim().split('\n'), [
      'open main',
      'query select',
      'close main',
      'open main',
      'query ',
      'close main',
    ]);

    // It replaces the earlier one, may be asynchronous, and need not return
    // anything.
    const moved = connected.replacePreexec(enterFolder, folder);
    assert.equal(await moved.run(currentFolder), folder);
    assert.notEqual(process.cwd(), folder);

    // When it throws, the job does not run.
    const refused = jobserver.replacePreexec(refuse, 'Not today');
    await assert.rejects(refused.run(query, 'more'), { message: 'Not today' });
    assert.ok(!readFileSync(journal, 'utf8').includes('more'));
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('Jobs ran between what their preexec opened and closed.');
}
