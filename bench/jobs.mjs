export function nothing() {
  return undefined;
}
