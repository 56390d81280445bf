const devices = ['/dev/stdout', '/dev/stderr', '/dev/null']

/** Why lines may not go to that file; undefined when they may. Whoever writes configurations is not to write everywhere. */
export function pathFinding(path: string): string | undefined {
  if (path === '' || path.includes('\0')) return 'must be the path of a file'
  if (path.split('/').includes('..')) return "must not lead out with '..'"
  const plain = path.replace(/\/(?:\.?\/)+/g, '/')
  if (devices.includes(plain)) return undefined
  const folder = /^\/(?:proc|sys|dev|etc)(?:\/|$)/.exec(plain)?.[0]
  return folder === undefined ? undefined : `must not lie in ${folder.replace(/\/$/, '')}`
}
