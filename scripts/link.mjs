// Links the modules that tsc has compiled into a few files, because Node loads one
// file faster than a hundred: it halves the time of an import of the package.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

/** What programs and new processes load. */
export const entries = ['index.js', 'child/spawned.js', 'child/zygote.js'];

// For each linked file, the entries that load it. It has the modules of lib/ that all these
// entries load when they start, and that are in no file before it. The last file has the
// other modules, which functions load when they need them. The files are in a folder,
// because modules that use __dirname are in one, too.
const entriesOf = {
  'linked/lean.js': ['child/spawned.js'],
  'linked/shared.js': ['child/zygote.js', 'index.js'],
  'linked/zygote.js': ['child/zygote.js'],
  'linked/program.js': ['index.js'],
  'linked/late.js': [],
};
export const linkedFiles = Object.keys(entriesOf);

/**
 * The subpaths of the package and its command. Their modules stay in files of their
 * own, because few programs load them.
 */
export const subpaths = ['bullmq', 'cli', 'vitest'];
const [lean] = linkedFiles;

const leanStart = `'use strict';
// The modules of lib/ that a new node needs for a job; the other files are loaded
// when one of their modules is. Each module is run when it is first loaded.
const files = ${JSON.stringify(linkedFiles.map((name) => `./${basename(name)}`))};
const loaded = new Map();

// \`file\`: the index of the one that has the module.
function $load(name, file) {
  let exports = loaded.get(name);
  if (exports === undefined) {
    if (!(name in modules)) Object.assign(modules, require(files[file]));
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
const otherStart = `'use strict';
// Modules of lib/ that lean.js lacks.
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
  const isAlone = (name) =>
    entries.includes(name) || subpaths.includes(name.split(/[./]/, 1)[0]);
  const modules = [...texts.keys()].filter((name) => !isAlone(name));
  const fileOf = filesOf(modules, texts);
  const loads = (name) => withLoads(texts.get(name), name, fileOf);
  for (const [i, file] of linkedFiles.entries()) {
    const names = modules.filter((name) => fileOf.get(name) === i);
    const methods = names.map((name) => method(name, loads(name)));
    write(file, file === lean ? leanStart : otherStart, ...methods, '};\n');
  }
  for (const name of [...texts.keys()].filter(isAlone)) {
    const start = `"use strict";\nconst $load = ${loadIn(name)};\n`;
    write(name, loads(name).replace('"use strict";\n', start));
  }
  for (const name of modules) {
    write(name, `module.exports = ${loadIn(name)}(${argsOf(name, fileOf)});\n`);
  }
  copyFiles(from, to, (name) => !name.endsWith('.js'));

  function write(name, ...parts) {
    writeChanged(join(to, name), parts.join(''));
  }
}

/** The index of the linked file of each module. */
function filesOf(modules, texts) {
  const fileOf = new Map();
  for (const [i, entries] of Object.values(entriesOf).entries()) {
    const loaded = entries.map((entry) => importedBy(entry, texts));
    for (const name of modules) {
      if (fileOf.has(name)) continue;
      if (loaded.every((names) => names.has(name))) fileOf.set(name, i);
    }
  }
  return fileOf;
}

/** All that is loaded with an entry, and not later by one of its functions. */
function importedBy(entry, texts) {
  const names = new Set([entry]);
  for (const name of names) {
    for (const [, path] of texts
      .get(name)
      .matchAll(/^(?:(?:const|var) \w+ = )?require\("(\.[^"]+)"\)/gm)) {
      names.add(join(dirname(name), path));
    }
  }
  return names;
}

// Not a function in parentheses, which V8 would compile together with the file: the import
// took 2 ms less, and each forked job 20 % more CPU.
function method(name, text) {
  const usesPath = /\b__(dir|file)name\b/.test(text);
  assert(!usesPath || /^[^/]+\/[^/]+$/.test(name), `${name} is elsewhere`);
  // V8 reads other characters more slowly, in all of the file.
  const ascii = text.replace(/[^\0-\x7f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `${JSON.stringify(name)}(exports) {\n${ascii}},\n\n`;
}

/** Copies modules and their declarations as they are. */
export function copyFiles(from, to, isWanted = () => true) {
  for (const name of readdirSync(from, { recursive: true })) {
    if (!/\.(m?js|d\.m?ts)$/.test(name) || !isWanted(name)) continue;
    writeChanged(join(to, name), readFileSync(join(from, name), 'utf8'));
  }
}

function withLoads(text, name, fileOf) {
  return text.replace(/\brequire\((['"])(\.[^'"]+)\1\)/g, (call, _, path) => {
    const target = join(dirname(name), path);
    return fileOf.has(target) ? `$load(${argsOf(target, fileOf)})` : call;
  });
}

function argsOf(name, fileOf) {
  return `${JSON.stringify(name)}, ${fileOf.get(name)}`;
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
