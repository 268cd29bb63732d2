/** Whether Node has loaded the internal module of this name. */
export function isLoaded(builtin: string): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
  return moduleLoadList.includes(`NativeModule ${builtin}`);
}

/** Whether module hooks run in a thread, as module.register makes them. */
export function hasHooksThread(): boolean {
  return isLoaded('internal/modules/esm/hooks');
}
