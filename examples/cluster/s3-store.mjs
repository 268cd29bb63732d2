// Keeps the large values of a cluster in S3, or in a server that speaks its protocol,
// and not in the memory of Redis:
//
//   jobserver worker --store ./s3-store.mjs redis://…
//   new ClusterExecutor({ connection, store })
//
// S3_URL is that of the bucket, such as https://BUCKET.s3.eu-central-1.amazonaws.com or
// http://minio:9000/BUCKET. A lifecycle rule of the bucket should remove what is older
// than a few days, because nobody drops the values of a program that was killed.
import { createHash, createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const mostTries = 4;

export const store = {
  put: async (key, bytes) => {
    await request('PUT', key, bytes);
  },
  get: async (key) => {
    const response = await request('GET', key);
    return new Uint8Array(await response.arrayBuffer());
  },
  drop: async (key) => {
    await request('DELETE', key);
  },
};

async function request(method, key, body) {
  const { S3_URL } = process.env;
  const url = new URL(`${S3_URL.replace(/\/$/, '')}/${key}`);
  for (let tries = 1; ; tries++) {
    const headers = sign({ method, url, body, secrets: secretsOfEnv() });
    const failure = await fetch(url, { method, headers, body }).then(
      async (response) => {
        if (response.ok) return { response };
        const text = await response.text();
        const message = `S3: ${method} ${key}: ${response.status} ${text}`;
        return { error: new Error(message), isFinal: response.status < 500 };
      },
      (error) => ({ error }),
    );
    if (failure.response !== undefined) return failure.response;
    if (failure.isFinal || tries === mostTries) throw failure.error;
    await sleep(50 * 4 ** tries * Math.random());
  }
}

function secretsOfEnv() {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } = process.env;
  return {
    id: AWS_ACCESS_KEY_ID,
    secret: AWS_SECRET_ACCESS_KEY,
    region: AWS_REGION ?? 'us-east-1',
  };
}

/** The headers of a request, with its signature of version 4. */
export function sign({ method, url, body = '', secrets, ...rest }) {
  const { extra = {}, now = new Date() } = rest;
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const hash = sha256(body);
  const headers = {
    ...{ host: url.host, 'x-amz-content-sha256': hash, 'x-amz-date': time },
    ...extra,
  };
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join('');
  const parts = [method, url.pathname, '', lines, names.join(';'), hash];
  const date = time.slice(0, 8);
  const scope = `${date}/${secrets.region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(parts.join('\n'))];
  const key = [date, secrets.region, 's3', 'aws4_request'].reduce(
    hmac,
    `AWS4${secrets.secret}`,
  );
  const signature = hmac(key, text.join('\n')).toString('hex');
  headers.authorization =
    `AWS4-HMAC-SHA256 Credential=${secrets.id}/${scope},` +
    `SignedHeaders=${names.join(';')},Signature=${signature}`;
  // fetch() sets this one itself.
  delete headers.host;
  return headers;
}

function hmac(key, text) {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
