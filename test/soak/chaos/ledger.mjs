// Where the tokens of a submitter are, in files that outlive it: the words of its
// pages, and a list. After a SIGKILL, they tell which tokens were lost with it, and
// whether they had to be.
import assert from 'node:assert/strict';
import {
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import binding from '../../../dist/system/binding.js';
import claims from '../../../dist/protocol/claims.js';

// Node finds no names in these modules, because they are linked.
const { native } = binding;
const { tokenWord } = claims;
const pageBytes = 4096;
const textOf = (byte) => String.fromCharCode(byte);
/** A token that is being taken. */
const unknown = '?';

/** Follows the tokens of this process, which has taken none yet. */
export class Ledger {
  #folder;
  #list;
  /** Taken, or out of a word, and not yet in a word or given back. */
  #loose = '';
  /** Of jobs that have a process for themselves. */
  #alone = '';
  #ends = 0;

  constructor(folder) {
    this.#folder = join(folder, String(process.pid));
    mkdirSync(this.#folder);
    this.#list = openSync(join(this.#folder, 'list'), 'w');
    this.#note(this.#loose);
    this.#followPages();
    this.#followTokens();
  }

  /** How many workers may be ending because of their own jobs, or are killed. */
  set ends(count) {
    this.#ends = count;
    this.#note(this.#loose);
  }

  /** Throws if this process still has a token. */
  close() {
    const left = readLedger(this.#folder);
    assert.deepEqual(left, { pages: [], loose: [], alone: [], ends: 0 });
    rmSync(this.#folder, { recursive: true });
  }

  #note(loose, alone = this.#alone) {
    [this.#loose, this.#alone] = [loose, alone];
    // One write(2), of which a kill leaves nothing or all.
    const line = `${loose},${alone},${this.#ends},`;
    writeSync(this.#list, line.padEnd(64), 0);
  }

  #followPages() {
    let count = 0;
    native.pageFile = () => {
      const fd = openSync(join(this.#folder, `page${count++}`), 'w+');
      ftruncateSync(fd, pageBytes);
      return fd;
    };
  }

  #followTokens() {
    const { takeToken, returnToken, bindToken, unbindToken } = native;
    native.takeToken = (...args) => {
      this.#note(this.#loose + unknown);
      const byte = takeToken(...args);
      const token = byte < 0 ? '' : textOf(byte);
      this.#note(this.#loose.replace(unknown, token));
      return byte;
    };
    native.bindToken = (...args) => {
      const result = bindToken(...args);
      const [, byte, , , word] = args;
      const token = textOf(byte);
      const isAlone = word.length === 0 && this.#loose.includes(token);
      const alone = isAlone ? this.#alone + token : this.#alone;
      this.#note(this.#loose.replace(token, ''), alone);
      return result;
    };
    native.unbindToken = (socket, word) => {
      if (word[0] > 0) this.#note(this.#loose + textOf(word[0] - 1));
      return unbindToken(socket, word);
    };
    native.returnToken = (...args) => {
      const result = returnToken(...args);
      const token = textOf(args[1]);
      if (this.#loose.includes(token)) {
        this.#note(this.#loose.replace(token, ''));
      } else {
        this.#note(this.#loose, this.#alone.replace(token, ''));
      }
      return result;
    };
  }
}

function readLedger(folder) {
  const [loose = '', alone = '', ends = 0] = readFileSync(
    join(folder, 'list'),
    'latin1',
  ).split(',');
  const pages = readdirSync(folder)
    .filter((name) => name.startsWith('page'))
    .map((name) => join(folder, name))
    .flatMap((path) => {
      const word = readFileSync(path).readInt32LE(4 * tokenWord);
      return word === 0 ? [] : [{ path, token: textOf(word - 1) }];
    });
  return { pages, loose: [...loose], alone: [...alone], ends: Number(ends) };
}

/**
 * Fails unless exactly those `tokens` are lost that had to be. All processes have
 * ended. `isKilled` tells whether the worker with a page was killed. Returns how
 * many were lost with their workers, and how many otherwise.
 */
export function checkLosses(folder, tokens, isKilled) {
  const all = readdirSync(folder).map((pid) => readLedger(join(folder, pid)));
  for (const { pages, loose, ends } of all) {
    assert.ok(loose.length <= 1, `a submitter had ${loose} in no word`);
    const left = pages.filter(({ path }) => !isKilled(path));
    const text = `${left.length} orphans have given no token back, of ${ends}`;
    assert.ok(left.length <= ends, text);
  }
  const inPages = all.flatMap(({ pages }) => pages.map(({ token }) => token));
  const doubtful = all.flatMap(({ loose, alone }) => [...loose, ...alone]);
  const rest = [...tokens];
  const what = `${rest} are lost; by the ledgers ${inPages}, perhaps ${doubtful}`;
  for (const token of inPages) {
    const index = rest.indexOf(token);
    assert.ok(index >= 0, `a token was given back that has a word: ${what}`);
    rest.splice(index, 1);
  }
  for (const token of doubtful) {
    const index = rest.findIndex((each) => [each, unknown].includes(token));
    if (index >= 0) rest.splice(index, 1);
  }
  assert.deepEqual(rest, [], `tokens are lost for no reason: ${what}`);
  const withWorkers = inPages.length;
  return { withWorkers, otherwise: tokens.length - withWorkers };
}
