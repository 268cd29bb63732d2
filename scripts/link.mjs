// Links the modules that tsc has compiled into two files, because Node loads one
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

// Their modules are in a file of their own, because most of these processes need
// no others. In a folder, as modules are, so that __dirname leads as far in it.
const leanEntry = 'child/spawned.js';
export const linkedFiles = ['linked/lean.js', 'linked/rest.js'];
const [lean, rest] = linkedFiles;

const leanStart = `'use strict';
// The modules of lib/ that a new node needs for a job; rest.js has the others.
// Each is run when it is first loaded.
const loaded = new Map();

function $load(name) {
  let exports = loaded.get(name);
  if (exports === undefined) {
    if (!(name in modules)) Object.assign(modules, require("./rest.js"));
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
const restStart = `'use strict';
// The modules of lib/ that lean.js lacks.
const $load = require("./lean.js").load;

module.exports = {
`;

/**
 * Writes the linked files, the entries, which load their imports from there, and,
 * for tests, a file in the place of each other module that does so too.
 */
export function link(from, to) {
  const files = readdirSync(from, { recursive: true });
  const texts = new Map();
  for (const name of files.filter((name) => name.endsWith('.js')).sort()) {
    texts.set(name, readFileSync(join(from, name), 'utf8'));
  }
  const modules = [...texts.keys()].filter((name) => !entries.includes(name));
  const loads = (name) => withLoads(texts.get(name), name, modules);
  const leanModules = importedBy(leanEntry, loads);
  const isLean = (name) => leanModules.has(name);
  const linked = (names) => names.map((name) => method(name, loads(name)));
  write(lean, leanStart, ...linked(modules.filter(isLean)), '};\n');
  const others = modules.filter((name) => !isLean(name));
  write(rest, restStart, ...linked(others), '};\n');
  for (const name of entries) {
    const start = `"use strict";\nconst $load = ${loadIn(name)};\n`;
    write(name, loads(name).replace('"use strict";\n', start));
  }
  for (const name of modules) {
    write(name, `module.exports = ${loadIn(name)}(${JSON.stringify(name)});\n`);
  }
  copyModules(from, to, (name) => name.endsWith('.mjs'));

  function write(name, ...parts) {
    writeChanged(join(to, name), parts.join(''));
  }
}

/** All that is loaded with an entry, and not later by one of its functions. */
function importedBy(entry, loads) {
  const names = new Set([entry]);
  for (const name of names) {
    for (const [, load] of loads(name).matchAll(/^\S.*\$load\("([^"]+)"\)/gm)) {
      names.add(load);
    }
  }
  return names;
}

function method(name, text) {
  const usesPath = /\b__(dir|file)name\b/.test(text);
  assert(!usesPath || /^[^/]+\/[^/]+$/.test(name), `${name} is elsewhere`);
  // V8 reads other characters more slowly, in all of the file.
  const ascii = text.replace(/[^\0-\x7f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `${JSON.stringify(name)}(exports) {\n${ascii}},\n\n`;
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
  const path = relative(dirname(name), lean);
  return `require(${JSON.stringify(path.replace(/^(?!\.)/, './'))}).load`;
}

// Programs that are running may be about to load a file that stays the same.
function writeChanged(file, text) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
