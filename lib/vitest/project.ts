// What the pool needs of vitest's own objects. They are described here rather than
// imported, so that the declarations of this package need no vitest.

/** The part of its configuration that vitest sends to its workers. */
export type Config = Readonly<Record<string, unknown>>;

/** A project of vitest. */
export interface Project {
  readonly name: string;
  readonly serializedConfig: object;
  readonly config: {
    readonly root: string;
    readonly maxWorkers?: number | string | undefined;
  };
  readonly vite: ViteServer;
  readonly vitest: {
    readonly logger: {
      readonly outputStream: NodeJS.WritableStream;
      readonly errorStream: NodeJS.WritableStream;
    };
    readonly config: {
      readonly maxWorkers?: number | string | undefined;
      readonly experimental?: Experiments;
    };
    onClose(callback: () => unknown): void;
  };
}

export interface Experiments {
  readonly viteModuleRunner?: boolean | undefined;
  /** That of a project takes precedence over that of vitest. */
  readonly openTelemetry?:
    { readonly enabled?: boolean | undefined } | undefined;
}

export interface ViteServer {
  readonly config: { readonly cacheDir: string };
  readonly environments: Readonly<Record<string, ViteEnvironment>>;
  ssrTransform(
    code: string,
    map: null,
    url: string,
  ): Promise<{ readonly code: string } | null>;
}

export interface ViteEnvironment {
  readonly pluginContainer: {
    resolveId(
      id: string,
      importer: string,
    ): Promise<{ readonly id: string } | null>;
  };
}

/** Of a test file. */
export interface Environment {
  readonly name: string;
  readonly options?: unknown;
}

/** What vitest makes a worker for. */
export interface PoolRequest {
  /** The folder of the vitest that runs. */
  readonly distPath: string;
  readonly project: Project;
  readonly environment: Environment;
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}
