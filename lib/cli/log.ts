// The lines that a worker writes about itself: text for a person, or JSON for a
// program that collects logs. They go to standard error, since jobs write to standard
// output.

type Facts = Readonly<Record<string, unknown>>;

/** Writes one line. `facts` are fields of the JSON, and follow the text. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  text: string,
  facts?: Facts,
) => void;

export function openLog(format: 'text' | 'json'): Log {
  return (level, text, facts = {}) => {
    const time = new Date().toISOString();
    const line =
      format === 'json'
        ? JSON.stringify({ time, level, message: text, ...facts })
        : [
            time,
            ...(level === 'info' ? [] : [`${level}:`]),
            text,
            ...pairs(facts),
          ]
            .join(' ')
            .replace(/\n\s*/g, ' ');
    process.stderr.write(`${line}\n`);
  };
}

function pairs(facts: Facts): string[] {
  return Object.entries(facts)
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'string' && /^\S+$/.test(value) ? value : JSON.stringify(value)}`,
    );
}
