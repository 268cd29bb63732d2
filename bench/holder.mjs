export function hold() {
  return new Promise((resolve) => setTimeout(resolve, 1e6));
}
