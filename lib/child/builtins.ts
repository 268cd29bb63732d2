/** Whether Node has loaded a module of its own, by its internal name. */
export function isLoaded(builtin: string): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
  return moduleLoadList.includes(`NativeModule ${builtin}`);
}
