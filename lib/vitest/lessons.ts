// `preload: 'auto'`: which modules the files of a project import that Node loads, as
// the last run has shown. They are kept in a file beside vitest's cache.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { trace } from '../system/trace.js';
import type { Project } from './project.js';

/** A module is preloaded if so many of the files have imported it, and at least two. */
const share = 1 / 4;

interface Lesson {
  /** How many files have run. */
  readonly files: number;
  readonly modules: readonly string[];
  /** Those that could not be preloaded. */
  readonly refused: readonly string[];
}

export class Lessons {
  readonly #file: string;
  readonly #name: string;
  readonly #counts = new Map<string, number>();
  #files = 0;
  #isClosed = false;
  #lesson: Lesson;

  constructor({ name, vite }: Project) {
    this.#file = join(vite.config.cacheDir, 'jobserver', 'preload.json');
    this.#name = name;
    this.#lesson = lessonOf(readAll(this.#file)[name]);
  }

  /** What is to be preloaded. */
  get modules(): readonly string[] {
    const { modules, refused } = this.#lesson;
    return modules.filter((url) => !refused.includes(url) && isThere(url));
  }

  /** A file has ended that has imported these: URLs, paths or names of modules. */
  add(modules: ReadonlySet<string>): void {
    this.#files += 1;
    for (const each of modules) {
      const url = isAbsolute(each) ? pathToFileURL(each).href : each;
      if (!url.startsWith('file:')) continue;
      this.#counts.set(url, (this.#counts.get(url) ?? 0) + 1);
    }
    if (this.#isClosed) this.save();
  }

  /** vitest ends. Some files may do so later. */
  close(): void {
    this.#isClosed = true;
    this.save();
  }

  /** `error`: of a zygote that could not import one of the modules, or all of them. */
  refuse(error: unknown): void {
    const { message = '', stack = '' } = error as Partial<Error>;
    const { modules } = this;
    const named = modules.filter((url) =>
      `${message}\n${stack}`.includes(fileURLToPath(url)),
    );
    const refused = [
      ...this.#lesson.refused,
      ...(named.length > 0 ? named : modules),
    ];
    this.#lesson = { ...this.#lesson, refused };
    this.#write();
  }

  /** Keeps what files have shown, unless they are few. */
  save(): void {
    const { files, refused } = this.#lesson;
    if (this.#files < 2 || this.#files < files / 2) return;
    const least = Math.max(2, this.#files * share);
    const often = [...this.#counts].filter(([, count]) => count >= least);
    const modules = often.map(([url]) => url);
    this.#lesson = { files: this.#files, modules, refused };
    this.#write();
  }

  #write(): void {
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      const all = { ...readAll(this.#file), [this.#name]: this.#lesson };
      writeFileSync(this.#file, `${JSON.stringify(all, undefined, 2)}\n`);
    } catch (error) {
      // The next run starts as this one has.
      trace('what files import cannot be kept: %o', error);
    }
  }
}

function readAll(file: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    return {}; // There is none, or somebody has changed it.
  }
}

function lessonOf(read: unknown): Lesson {
  const { files, modules, refused } = (read ?? {}) as Partial<Lesson>;
  return {
    files: typeof files === 'number' ? files : 0,
    modules: urlsIn(modules),
    refused: urlsIn(refused),
  };
}

function urlsIn(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.filter((url) => String(url).startsWith('file:')) as string[];
}

function isThere(url: string): boolean {
  return existsSync(fileURLToPath(url));
}
