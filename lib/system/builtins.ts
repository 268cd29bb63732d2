/**
 * A builtin module of Node that takes long to load, where it is first used. Not
 * by require(), which jest refuses after the end of a test file.
 */
export const builtin: typeof process.getBuiltinModule =
  process.getBuiltinModule?.bind(process) ?? require;

/** Whether Node has loaded the internal module of this name. */
export function isLoaded(builtin: string): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
  return moduleLoadList.includes(`NativeModule ${builtin}`);
}

/** Whether module hooks run in a thread, as module.register makes them. */
export function hasHooksThread(): boolean {
  return isLoaded('internal/modules/esm/hooks');
}
