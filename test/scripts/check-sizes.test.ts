import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const script = join(__dirname, '..', '..', 'scripts', 'check-sizes.mjs');

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'check-sizes-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** Runs the check over a tree of { path: text }. */
function check(tree: Readonly<Record<string, string>>): {
  status: number | null;
  problems: string[];
} {
  for (const [path, text] of Object.entries(tree)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const { status, stderr } = spawnSync(process.execPath, [script, root], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, problems: stderr.split('\n').filter((line) => line !== '') };
}

const lines = (count: number, line: string): string =>
  `${line}\n`.repeat(count);

test('files of 300 lines pass, where comment lines count half', () => {
  const result = check({
    'lib/system/fd.ts': lines(300, 'f();'),
    'lib/wire/value.ts': lines(200, '// A comment.') + lines(200, 'f();'),
    'native/addon.cc': lines(300, 'int x;'),
  });

  expect(result).toEqual({ status: 0, problems: [] });
});

test('longer files are reported, except public classes', () => {
  const { status, problems } = check({
    'lib/jobserver.ts': lines(500, 'f();'),
    'lib/system/fd.ts': lines(301, 'f();'),
    'native/linux/spawn.cc': lines(3, '// A comment.') + lines(300, 'int x;'),
  });

  expect(status).toBe(1);
  expect(problems).toEqual([
    'lib/system/fd.ts: 301 lines, where comment lines count half; ' +
      'at most 300 are allowed',
    'native/linux/spawn.cc: 301.5 lines, where comment lines count half; ' +
      'at most 300 are allowed',
  ]);
});

test('functions of 60 lines and four parameters pass', () => {
  const body = `${lines(28, '  if (x) { y(); }')}\n  // A comment.\n${lines(29, '  z({1, 2, 3, 4, 5});')}`;
  const result = check({
    'native/addon.cc': `
      #define CALL(a, b, c, d, e) f(a, b, c, d, e)
      extern "C" {
      namespace sys {
      enum Kind : int { kOne, kTwo, kThree, kFour, kFive };
      int table[] = {1, 2, 3, 4, 5, 6};
      template <typename A, typename B, typename C, typename D, typename E>
      int Four(int a, std::pair<int, int> b, int (*c)(int, int), int d) {
      ${body}}
      class Owner {
       public:
        Owner(int fd, int pid) : fd_(fd), pid_{pid} {}
        int Get() const { return fd_; }
      };
      }  // namespace sys
      }`,
  });

  expect(result).toEqual({ status: 0, problems: [] });
});

test('larger functions are reported, with their first line', () => {
  const { status, problems } = check({
    'native/addon.cc': `namespace sys {
int Five(int a, int b, int c, int d, int e) { return f(a, b, c, d, e); }

int Zone::Long(void) {
${lines(59, '  f();')}}

class Owner {
 public:
  explicit Owner(int a, int b, int c, int d, int e) : a_{a} { f(b, c, d, e); }
};
}  // namespace sys
`,
  });

  expect(status).toBe(1);
  expect(problems).toEqual([
    'native/addon.cc:2: Five: 5 parameters; at most 4 are allowed',
    'native/addon.cc:4: Zone::Long: 61 lines; at most 60 are allowed',
    'native/addon.cc:68: Owner: 5 parameters; at most 4 are allowed',
  ]);
});

test('a tree without any source file is reported', () => {
  const { status, problems } = check({});

  expect(status).toBe(1);
  expect(problems).toEqual([`No source files in ${root}`]);
});
