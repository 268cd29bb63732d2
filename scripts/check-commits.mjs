// Checks the subjects of the commits since the last release.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { commandLine, root } from './command.mjs';

const mostCharacters = 60;
// Older subjects do not follow the rule.
const firstBase = 'b924779';
const usage = `
Usage: node scripts/check-commits.mjs [FOLDER]

Fails when the subject of a commit since the last tag, or else since ${firstBase},
is not of the form "area: Imperative sentence", with at most ${mostCharacters} characters, a
capital after the colon and no full stop. Merges are not checked. FOLDER is a
git repository, by default this one.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });
const folder = resolve(positionals[0] ?? root);

const commits = commitsToCheck();
if (commits !== undefined) {
  const problems = commits.flatMap(({ hash, subject }) =>
    problemsOf(subject).map((problem) => `${hash} "${subject}": ${problem}`),
  );
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`commits: ${commits.length} subjects`);
}

/** undefined if the history is not there, which is then said. */
function commitsToCheck() {
  const shallow = git('rev-parse', '--is-shallow-repository');
  if (shallow === undefined) return skip('git cannot read a repository here');
  if (shallow === 'true') return skip('the history is shallow');
  const base =
    git('describe', '--tags', '--abbrev=0') ??
    git('rev-parse', '--verify', '--quiet', `${firstBase}^{commit}`);
  if (base === undefined) return skip(`there is no tag, and no ${firstBase}`);
  const log = git('log', '--no-merges', '--format=%h %s', `${base}..HEAD`);
  if (log === undefined) throw new Error(`git log ${base}..HEAD has failed`);
  const lines = log.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [, hash, subject] = /^(\S+) (.*)$/.exec(line);
    return { hash, subject };
  });
}

function problemsOf(subject) {
  const problems = [];
  const match = /^[\w.-]+(\/[\w.-]+)*: (\S+)/.exec(subject);
  if (match === null) problems.push('is not of the form "area: Sentence"');
  else if (!/^\p{Lu}/u.test(match[2])) {
    problems.push('has no capital after the colon');
  } else if (!isImperative(match[2])) {
    problems.push(`starts with "${match[2]}": write it in the imperative`);
  }
  if ([...subject].length > mostCharacters) {
    problems.push(`has more than ${mostCharacters} characters`);
  }
  if (subject.endsWith('.')) problems.push('ends with a full stop');
  return problems;
}

/** Finds the usual other forms: Adds, Added, Adding. */
function isImperative(verb) {
  if (/^(bring|ring|sing|swing|string|embed|feed|need|seed|speed)$/i.test(verb))
    return true;
  return !/(ing|ed|[^su]s)$/.test(verb);
}

function skip(reason) {
  console.log(`commits: not checked, because ${reason}`);
  return undefined;
}

/** What git prints; undefined if it fails. */
function git(...args) {
  const options = { cwd: folder, encoding: 'utf8' };
  const { status, stdout } = spawnSync('git', args, options);
  return status === 0 ? stdout.trim() : undefined;
}
