// A certificate of a server at 127.0.0.1 that nobody but itself has signed.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Paths of files in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes both files in the folder. */
export function makeCertificate(folder: string): Certificate {
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'],
      ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  );
  return { cert, key };
}

/** Arguments of a Redis server that speaks TLS at this port. */
export function tlsArgs(port: number, { cert, key }: Certificate): string[] {
  return [
    ...['--tls-port', String(port), '--tls-auth-clients', 'no'],
    ...['--tls-cert-file', cert, '--tls-key-file', key],
    ...['--tls-ca-cert-file', cert],
  ];
}
