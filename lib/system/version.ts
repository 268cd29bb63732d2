// Which of two versions of a package is the older one.

/** `least`: a major and a minor number. */
export function isOlder(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split('.', 2).map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split('.', 2).map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}
