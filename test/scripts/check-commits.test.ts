import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const script = join(__dirname, '..', '..', 'scripts', 'check-commits.mjs');

let repository: string;

beforeEach(() => {
  repository = mkdtempSync(join(tmpdir(), 'check-commits-'));
  git('init', '--quiet');
});

afterEach(() => {
  rmSync(repository, { recursive: true });
});

function git(...args: string[]): void {
  const identity = ['-c', 'user.name=n', '-c', 'user.email=e@example.org'];
  const { status, stderr } = spawnSync(
    'git',
    ['-C', repository, ...identity, '-c', 'tag.gpgSign=false', ...args],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
}

function commit(subject: string): void {
  git('commit', '--quiet', '--allow-empty', '--no-gpg-sign', '-m', subject);
}

function check(folder = repository): {
  status: number | null;
  stdout: string;
  problems: string[];
} {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [script, folder],
    { encoding: 'utf8', timeout: 20_000 },
  );
  const problems = stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^\w+ /, ''));
  return { status, stdout, problems };
}

test('subjects that follow the rule pass', () => {
  commit('Start.');
  git('tag', 'v1.0.0');
  commit('slots: Give each token back once');
  commit('.ci/run: Process files that have spaces');
  commit(`docs: ${'S'.repeat(54)}`);

  expect(check()).toEqual({
    status: 0,
    stdout: 'commits: 3 subjects\n',
    problems: [],
  });
});

test('each broken rule is reported with the commit', () => {
  commit('Start');
  git('tag', 'v1.0.0');
  commit('no area');
  commit('slots: give it back');
  commit('slots: Gives it back');
  commit('slots: Giving it back');
  commit('slots: Give it back.');
  commit(`docs: ${'S'.repeat(55)}`);

  const { status, problems } = check();

  expect(status).toBe(1);
  expect(problems.reverse()).toEqual([
    '"no area": is not of the form "area: Sentence"',
    '"slots: give it back": has no capital after the colon',
    '"slots: Gives it back": starts with "Gives": write it in the imperative',
    '"slots: Giving it back": starts with "Giving": write it in the imperative',
    '"slots: Give it back.": ends with a full stop',
    `"docs: ${'S'.repeat(55)}": has more than 60 characters`,
  ]);
});

test('only commits since the last tag are checked, and no merges', () => {
  commit('old and free');
  git('tag', 'v1.0.0');
  commit('older');
  git('tag', 'v1.1.0');
  git('checkout', '--quiet', '-b', 'side');
  commit('side: Add this');
  git('checkout', '--quiet', '-b', 'main', 'v1.1.0');
  git('merge', '--quiet', '--no-ff', '--no-gpg-sign', '-m', 'Merged', 'side');

  expect(check()).toMatchObject({ status: 0, stdout: 'commits: 1 subjects\n' });
});

test('nothing is checked where history is missing, and the output says so', () => {
  commit('Start');
  expect(check().stdout).toContain('not checked, because there is no tag');

  git('tag', 'v1.0.0');
  commit('no area');
  const shallow = join(repository, 'shallow');
  git('clone', '--quiet', '--depth=1', `file://${repository}`, shallow);
  expect(check(shallow)).toMatchObject({
    status: 0,
    stdout: 'commits: not checked, because the history is shallow\n',
  });
});
