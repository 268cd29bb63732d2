// Links the modules that tsc has compiled into one file, because Node loads one
// file faster than a hundred: it halves the time of an import of the package.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** What programs and new processes load. */
export const entries = ['index.js', 'child/spawned.js', 'child/zygote.js'];

// In a folder, as the modules are, so that __dirname leads as far in it.
export const linkedFile = 'linked/modules.js';

const head = `'use strict';
// The modules of lib/. Each is run when it is first loaded.
const loaded = new Map();

function $load(name) {
  let exports = loaded.get(name);
  if (exports === undefined) {
    exports = {};
    loaded.set(name, exports);
    let isDone = false;
    try {
      modules[name](exports);
      isDone = true;
    } finally {
      if (!isDone) loaded.delete(name);
    }
  }
  return exports;
}

exports.load = $load;

const modules = {
`;

/**
 * Writes the linked file, the entries that load their imports from it, and, for
 * tests, a file in the place of each other module that does so too.
 */
export function link(from, to) {
  const files = readdirSync(from, { recursive: true });
  const names = files.filter((name) => name.endsWith('.js')).sort();
  const modules = names.filter((name) => !entries.includes(name));
  const linked = modules.map((name) => {
    const text = withLoads(read(name), name, modules);
    const usesPath = /\b__(dir|file)name\b/.test(text);
    assert(!usesPath || /^[^/]+\/[^/]+$/.test(name), `${name} is elsewhere`);
    return `${JSON.stringify(name)}(exports) {\n${text}},\n\n`;
  });
  write(linkedFile, `${head}${linked.join('')}};\n`);
  for (const name of entries) {
    const start = `"use strict";\nconst $load = ${loadIn(name)};\n`;
    const text = withLoads(read(name), name, modules);
    write(name, text.replace('"use strict";\n', start));
  }
  for (const name of modules) {
    write(name, `module.exports = ${loadIn(name)}(${JSON.stringify(name)});\n`);
  }
  copyModules(from, to, (name) => name.endsWith('.mjs'));

  function read(name) {
    return readFileSync(join(from, name), 'utf8');
  }
  function write(name, text) {
    writeChanged(join(to, name), text);
  }
}

/** Copies the modules as they are. */
export function copyModules(from, to, isWanted = () => true) {
  for (const name of readdirSync(from, { recursive: true })) {
    if (!/\.m?js$/.test(name) || !isWanted(name)) continue;
    writeChanged(join(to, name), readFileSync(join(from, name), 'utf8'));
  }
}

function withLoads(text, name, modules) {
  return text.replace(/\brequire\((['"])(\.[^'"]+)\1\)/g, (call, _, path) => {
    const target = join(dirname(name), path);
    return modules.includes(target) ? `$load(${JSON.stringify(target)})` : call;
  });
}

function loadIn(name) {
  const path = relative(dirname(name), linkedFile);
  return `require(${JSON.stringify(path.replace(/^(?!\.)/, './'))}).load`;
}

// Programs that are running may be about to load a file that stays the same.
function writeChanged(file, text) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
