// A module that takes 200 ms to import.
const end = performance.now() + 200;
while (performance.now() < end);

export function nothing() {
  return undefined;
}
