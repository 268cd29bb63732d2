// The permission model of Node. Native code is outside of it, so that a submit
// asks for the permission to start processes itself.

/** Throws what node:child_process throws without this permission. */
export function checkMayStartProcesses(): void {
  // Undefined unless node runs with --permission.
  const permission = process.permission as
    typeof process.permission | undefined;
  if (permission === undefined || permission.has('child')) return;
  throw Object.assign(
    new Error(
      'A job runs in a process of its own, which the permission model does ' +
        'not allow: run node with --allow-child-process',
    ),
    { code: 'ERR_ACCESS_DENIED', permission: 'ChildProcess' },
  );
}
