// Verifies the ad-hoc signature of a Mach-O file, without which macOS on arm64
// kills the process that loads it. The format: Apple's cs_blobs.h
// (github.com/apple-oss-distributions/xnu, osfmk/kern/cs_blobs.h).
import { createHash } from 'node:crypto';

const magic64 = 0xfeedfacf;
const codeSignatureCommand = 0x1d;
const superBlobMagic = 0xfade0cc0;
const codeDirectoryMagic = 0xfade0c02;
const adhocFlag = 0x2;
const sha256Type = 2;

/** The faults of the signature, as an array of texts; empty if there is none. */
export function verifySignature(bytes) {
  if (bytes.readUInt32LE(0) !== magic64)
    return ['is not a 64-bit Mach-O file for one CPU'];
  const signature = signatureOf(bytes);
  if (signature === undefined) return ['has no signature'];
  if (signature.readUInt32BE(0) !== superBlobMagic) {
    return ['its signature does not start with a super blob'];
  }
  const directory = directoryOf(signature);
  if (directory === undefined) return ['its signature has no code directory'];
  return verifyPages(bytes, directory);
}

function signatureOf(bytes) {
  const commands = bytes.readUInt32LE(16);
  let at = 32;
  for (let i = 0; i < commands; i++) {
    if (bytes.readUInt32LE(at) === codeSignatureCommand) {
      const start = bytes.readUInt32LE(at + 8);
      return bytes.subarray(start, start + bytes.readUInt32LE(at + 12));
    }
    at += bytes.readUInt32LE(at + 4);
  }
  return undefined;
}

function directoryOf(superBlob) {
  const blobs = superBlob.readUInt32BE(8);
  for (let i = 0; i < blobs; i++) {
    const blob = superBlob.subarray(superBlob.readUInt32BE(12 + 8 * i + 4));
    if (blob.readUInt32BE(0) === codeDirectoryMagic) return blob;
  }
  return undefined;
}

function verifyPages(bytes, directory) {
  const faults = [];
  const hashes = directory.readUInt32BE(16);
  const count = directory.readUInt32BE(28);
  const end = directory.readUInt32BE(32);
  const hashSize = directory[36];
  const pageSize = 2 ** directory[39];
  if ((directory.readUInt32BE(12) & adhocFlag) === 0) {
    faults.push('its signature is not ad hoc');
  }
  if (directory[37] !== sha256Type) faults.push('its hashes are not SHA-256');
  if (count !== Math.ceil(end / pageSize)) {
    faults.push('its signature does not cover all pages');
  }
  for (let page = 0; page < count; page++) {
    const part = bytes.subarray(
      page * pageSize,
      Math.min((page + 1) * pageSize, end),
    );
    const hash = createHash('sha256').update(part).digest();
    const at = hashes + page * hashSize;
    if (!hash.equals(directory.subarray(at, at + hashSize))) {
      faults.push(`page ${page} does not match its hash`);
    }
  }
  return faults;
}
