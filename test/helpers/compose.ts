// What examples/cluster tells Docker.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const folder = resolve('examples', 'cluster');

export interface Service {
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
  readonly deploy?: unknown;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, unknown>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

export function readCompose(): Compose {
  const text = readFileSync(join(folder, 'compose.yaml'), 'utf8');
  return parseYaml(text) as Compose;
}

export function parseYaml(text: string): unknown {
  // Some of the tools have this package.
  return (require('yaml') as { parse(text: string): unknown }).parse(text);
}

export function dockerfileOf(): { entrypoint: string[]; command: string[] } {
  const text = readFileSync(join(folder, 'Dockerfile'), 'utf8');
  const listOf = (word: string): string[] =>
    JSON.parse(new RegExp(`^${word} (\\[.*\\])$`, 'm').exec(text)![1]!);
  return { entrypoint: listOf('ENTRYPOINT'), command: listOf('CMD') };
}
