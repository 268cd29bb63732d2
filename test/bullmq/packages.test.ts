import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bullmq, ioredis } from '../../dist/bullmq/packages.js';
import { runNode } from '../helpers/program.js';

const install = 'npm install bullmq ioredis';
const program = `
console.log(typeof ClusterExecutor, typeof ClusterHost, typeof clusterStatus);
const connection = 'redis://127.0.0.1:1';
const makers = [
  () => new ClusterExecutor({ connection }),
  () => new ClusterHost({ connection }),
  () => clusterStatus({ connection }),
];
(async () => {
  for (const make of makers) {
    try {
      await make();
      console.log('made');
    } catch ({ code, message }) {
      console.log(code, message);
    }
  }
})();
`;
const names = '{ ClusterExecutor, ClusterHost, clusterStatus }';
const programs = {
  'x.mjs': `import ${names} from 'jobserver/bullmq';${program}`,
  'x.cjs': `const ${names} = require('jobserver/bullmq');${program}`,
};

describe('the packages of a cluster', () => {
  let folder: string;
  const modules = (): string => join(folder, 'node_modules');

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'packages-'));
    // A copy, because Node resolves imports of a link from where it leads.
    const own = join(modules(), 'jobserver');
    for (const name of ['dist', 'package.json']) {
      cpSync(resolve(name), join(own, name), { recursive: true });
    }
    symlinkSync(resolve('build'), join(own, 'build'));
    link('node-gyp-build');
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(join(folder, name), text);
    }
  });
  afterEach(() => {
    for (const name of ['bullmq', 'ioredis']) {
      rmSync(join(modules(), name), { recursive: true, force: true });
    }
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  /** A package with nothing in it. */
  function put(name: string, version: string): void {
    mkdirSync(join(modules(), name));
    const text = JSON.stringify({ name, version });
    writeFileSync(join(modules(), name, 'package.json'), text);
    writeFileSync(join(modules(), name, 'index.js'), '');
  }

  /** The link leads to other packages that it needs. */
  function link(name: string): void {
    symlinkSync(resolve('node_modules', name), join(modules(), name));
  }

  test('that are installed here are recent enough', () => {
    expect(typeof bullmq().Queue).toBe('function');
    expect(typeof ioredis().Redis).toBe('function');
  });

  const cases: [string, () => void, string][] = [
    ['missing', () => undefined, install],
    [
      'missing in part',
      () => {
        link('bullmq');
      },
      install,
    ],
    [
      'too old: bullmq',
      () => {
        put('bullmq', '6.6.9');
        link('ioredis');
      },
      'jobserver/bullmq needs bullmq 6.7 or later, and has found 6.6.9',
    ],
    [
      'too old: ioredis',
      () => {
        link('bullmq');
        put('ioredis', '4.28.5');
      },
      'jobserver/bullmq needs ioredis 5.0 or later, and has found 4.28.5',
    ],
  ];
  describe.each(cases)('%s', (_, prepare, message) => {
    test.each(Object.keys(programs))(
      'are an error of what needs them, not of the import, in %s',
      async (name) => {
        prepare();
        const { stdout, stderr, code } = await runNode([name], { cwd: folder });
        const [types, ...errors] = stdout.trimEnd().split('\n');
        expect([types, stderr]).toEqual(['function function function', '']);
        expect(errors).toHaveLength(3);
        for (const error of errors) {
          expect(error).toContain('ERR_JOBSERVER_CLUSTER ');
          expect(error).toContain(message);
        }
        // Nothing is left that would keep the process alive.
        expect(code).toBe(0);
      },
    );
  });
});
