// Pages by the part of the address behind `#`: it works the same from a server, from the app's
// own scheme and from a file, and the browser's Back undoes a zoom.

import { parseRoute, type Route } from '../model/route';

class Router {
  route = $state.raw<Route>(parseRoute(location.hash));

  /** Follows the address; gives the way to stop. */
  start(): () => void {
    const follow = () => (this.route = parseRoute(location.hash));
    addEventListener('hashchange', follow);
    addEventListener('popstate', follow);
    return () => {
      removeEventListener('hashchange', follow);
      removeEventListener('popstate', follow);
    };
  }

  /** Goes to an address; with `replace` the present one leaves no trace in the history. */
  go(path: string, { replace = false } = {}): void {
    if (replace) history.replaceState(null, '', path);
    else history.pushState(null, '', path);
    this.route = parseRoute(location.hash);
  }
}

export const router = new Router();
