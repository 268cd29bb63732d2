// The function of the warm-up job. Most jobs are functions of ES modules too.
export function echo(...values: unknown[]): unknown {
  return values;
}
