// The job of an exercise: an ES module, as those of most jobs are.
export function nothing(): void {}
