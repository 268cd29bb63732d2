// A module that takes its time to import.
const end = performance.now() + 200;
while (performance.now() < end);

export function nothing() {
  return undefined;
}
