// Addresses of the pages: the part behind `#`.

/** Where the address leads. */
export type Route =
  | { page: 'meters' }
  | { page: 'meter'; id: string; parameters: URLSearchParams }
  | { page: 'unknown' };

/** Reads an address's hash, `#/…`. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  if (path === '' || path === '/') return { page: 'meters' };
  const [, section, id, ...rest] = path.split('/');
  if (section !== 'meters' || !id || rest.length > 0) return { page: 'unknown' };
  try {
    return { page: 'meter', id: decodeURIComponent(id), parameters: new URLSearchParams(query) };
  } catch {
    return { page: 'unknown' };
  }
}

/** Writes the address of a meter's page. */
export function meterPath(id: string, parameters: Record<string, string> = {}): string {
  const query = new URLSearchParams(parameters).toString();
  return `#/meters/${encodeURIComponent(id)}${query === '' ? '' : `?${query}`}`;
}
