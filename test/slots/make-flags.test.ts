import { type Style, parseMakeflags } from '../../dist/slots/make-flags.js';

const none: Style = { kind: 'none' };
const pipe = (reader: number, writer: number): object => ({
  kind: 'pipe',
  reader,
  writer,
});
const fifo = (path: string): object => ({ kind: 'fifo', path });

test.each<[string, string, object]>([
  ['3.81', 'sk --jobserver-fds=3,4 -j', pipe(3, 4)],
  ['3.81', '--no-print-directory - --jobserver-fds=3,4 -j', pipe(3, 4)],
  ['4.1', 'ks -j --jobserver-fds=3,4', pipe(3, 4)],
  ['4.3', 'ks -j4 --jobserver-auth=3,4', pipe(3, 4)],
  ['4.3', ' -j4 --jobserver-auth=3,4 -- CFLAGS=-O2', pipe(3, 4)],
  ['4.4', ' -j4 --jobserver-auth=fifo:/tmp/GM1', fifo('/tmp/GM1')],
  ['4.4', '-j4\t--jobserver-auth=fifo:/tmp/a,b', fifo('/tmp/a,b')],
])('the job server of make %s is found in %j', (_, text, style) => {
  expect(parseMakeflags(text)).toMatchObject(style);
});

test.each([
  '',
  ' ',
  'k',
  'j',
  ' -j',
  ' -j4',
  '-j11',
  'jobserver-auth=3,4',
  '--jobserver=3,4',
  '--jobserver-style=fifo',
  '--jobserver-authority=3,4',
  '--jobserver-auth',
  '-- --jobserver-auth=3,4',
  '-- X=a\\ --jobserver-auth=9,9',
  'X=a\\ --jobserver-auth=9,9',
])('%j names no job server', (text) => {
  expect(parseMakeflags(text)).toEqual(none);
});

test('-j1 without a job server asks for one job at a time', () => {
  for (const text of [' -j1', 'k -j1', ' -j4 -j1', '--jobs=1 -- X=1']) {
    expect(parseMakeflags(text)).toEqual({ kind: 'serial' });
  }
  expect(parseMakeflags(' -j1 -j4')).toEqual(none);
  expect(parseMakeflags(' -- -j1')).toEqual(none);
  expect(parseMakeflags('-j1 --jobserver-auth=3,4')).toMatchObject(pipe(3, 4));
});

test('the last word that names a job server counts', () => {
  const words = [
    ['--jobserver-auth=3,4', pipe(3, 4)],
    ['--jobserver-fds=5,6', pipe(5, 6)],
    ['--jobserver-auth=fifo:/f', fifo('/f')],
    ['--jobserver-auth=-2,-2', { kind: 'disabled' }],
    ['--jobserver-auth=what', { kind: 'unknown' }],
  ] as const;
  for (const [first] of words) {
    for (const [last, style] of words) {
      const text = ` -j4 ${first} ${last} -- X=1`;
      expect(parseMakeflags(text)).toMatchObject(style);
    }
  }
});

test('a negative fd means that the recipe may not use the job server', () => {
  for (const value of ['-2,-2', '-1,4', '3,-1', '-1,-1']) {
    const word = `--jobserver-auth=${value}`;
    expect(parseMakeflags(`-j4 ${word}`)).toEqual({ kind: 'disabled', word });
  }
});

test.each([
  '',
  '3',
  '3,',
  ',4',
  '3,4,5',
  '3;4',
  '3,x',
  '0x3,4',
  '3.5,4',
  '+3,4',
  '--3,4',
  '1e1,4',
  '99999999999,4',
  'fifo:',
  'fifo:/tmp/\0',
  'FIFO:/tmp/f',
  'gmake_semaphore_1',
])('the malformed value %j is reported as unknown, not thrown', (value) => {
  const word = `--jobserver-auth=${value}`;
  expect(parseMakeflags(word)).toEqual({ kind: 'unknown', word });
});

test('a backslash escapes a space or another backslash', () => {
  const text = String.raw`-j2 --jobserver-auth=fifo:/tmp/a\ b/c\\d -- X=1\ -- `;
  expect(parseMakeflags(text)).toMatchObject(fifo('/tmp/a b/c\\d'));
  expect(() => parseMakeflags('\\')).not.toThrow();
  expect(() => parseMakeflags('k\\ \\')).not.toThrow();
});
