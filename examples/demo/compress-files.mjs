// The jobs of the demo. They have a module of their own so that their processes
// import nothing else.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';

/** The result for one file; the digest identifies the compressed bytes. */
export function compressFile(path, quality) {
  const bytes = readFileSync(path);
  const compressed = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  return {
    path,
    bytesIn: bytes.length,
    bytesOut: compressed.length,
    digest: createHash('sha256').update(compressed).digest('hex'),
  };
}

export function compressFiles(paths, quality) {
  return paths.map((path) => compressFile(path, quality));
}
