// The keys of the queue in Redis that are there for good.

/** Those that a queue has neither always nor for the jobs that it keeps. */
export async function keysLeft(redis) {
  const script = "return redis.call('ZRANGE', ARGV[1], 0, -1)";
  const idsOf = (state) => redis.list(script, `bull:jobserver:${state}`);
  const ids = [await idsOf('completed'), await idsOf('failed')].flat();
  const ended = ids.map((id) => `bull:jobserver:${id}`);
  const keys = await redis.lastingKeys();
  return keys.filter((key) => !isLasting(key) && !ended.includes(key));
}

/** For a message. */
export async function describeKeysLeft(redis) {
  const keys = await keysLeft(redis);
  const texts = keys.map(async (key) => {
    const type = (await redis.command('TYPE', key)).trim();
    if (type !== '+hash') return `${key} ${type}`;
    const script = "return redis.call('HGETALL', ARGV[1])";
    return `${key} ${(await redis.list(script, key)).join(' ')}`;
  });
  return (await Promise.all(texts)).join('\n');
}

/** What a queue has whether there are jobs or not. */
function isLasting(key) {
  return /:(meta|events|control|id|pc|marker|stalled-check|completed|failed|hosts|metrics:.*)$/.test(
    key,
  );
}
