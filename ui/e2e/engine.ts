// The engine under the page: `ofmon demo` with three simulated meters and two weeks of history in
// a directory of its own. All tests of a run share it, because making the history takes its time.

import { test as base, expect, type Page } from '@playwright/test';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = process.env['OFMON_BIN'];
/** Longest time from start to the line with the address: the history of a debug build. */
const START_MS_MAX = 300_000;
const STOP_MS_MAX = 20_000;

/** A running engine. */
export class Engine {
  #child: ChildProcess | undefined;
  #url = '';

  private constructor(readonly data: string) {}

  /** Makes the demo's meters and history and serves them. */
  static async demo(): Promise<Engine> {
    const engine = new Engine(await mkdtemp(join(tmpdir(), 'ofmon-ui-')));
    try {
      await engine.#start(['demo', '--port', '0', '--data', engine.data]);
      return engine;
    } catch (error) {
      await engine.end();
      throw error;
    }
  }

  /** Address of the page, with a slash at its end. */
  get url(): string {
    return this.#url;
  }

  /** Serves the collected data again, at the same address as before. */
  async serveAgain(): Promise<void> {
    await this.#start(['serve', '--listen', new URL(this.#url).host, '--data', this.data]);
  }

  /** Asks the engine to end, as Ctrl-C does, and waits until it has. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.pid === undefined || child.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  }

  /** Stops and removes the data. */
  async end(): Promise<void> {
    await this.stop();
    await rm(this.data, { recursive: true, force: true });
  }

  /** Asks the API itself, past the page. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(new URL(`api/v1/${path}`, this.#url));
    expect(response.status, path).toBe(200);
    return (await response.json()) as T;
  }

  #start(args: string[]): Promise<void> {
    if (!PROGRAM) throw new Error('OFMON_BIN must name the ofmon program, for example target/debug/ofmon');
    const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    return new Promise((resolve, reject) => {
      let said = '';
      const fail = (why: string) => reject(new Error(`ofmon ${args.join(' ')} ${why}:\n${said}`));
      const timer = setTimeout(() => fail(`said no address within ${START_MS_MAX / 1000} s`), START_MS_MAX);
      const listen = (chunk: Buffer) => {
        said += chunk.toString();
        const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(said);
        if (!found) return;
        clearTimeout(timer);
        this.#url = found[0];
        resolve();
      };
      child.stdout.on('data', listen);
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
      child.once('error', (error) => fail(error.message));
      child.once('exit', (code) => fail(`ended with ${code}`));
    });
  }
}

/** What the list of meters answers, as far as tests compare it. */
export interface ListedMeter {
  id: string;
  name: string;
  last_reading_ms: number;
}

/** Tests with an engine, and a page that may not complain and may not leave this machine. */
export const test = base.extend<{ watched: void }, { engine: Engine }>({
  engine: [
    async ({}, use) => {
      const engine = await Engine.demo();
      await use(engine);
      await engine.end();
    },
    { scope: 'worker', timeout: START_MS_MAX + STOP_MS_MAX },
  ],
  watched: [
    async ({ page, engine }, use) => {
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(String(error)));
      page.on('console', (message) => {
        if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
      });
      page.on('request', (request) => {
        if (new URL(request.url()).origin !== new URL(engine.url).origin) faults.push(`foreign request: ${request.url()}`);
      });
      await use();
      expect(faults).toEqual([]);
    },
    { auto: true },
  ],
});

/** Opens the first meter of the list and waits until its graph is drawn; gives its id. */
export async function openFirstMeter(page: Page, engine: Engine): Promise<string> {
  const [first] = await engine.get<ListedMeter[]>('devices');
  await page.goto(`${engine.url}#/meters/${first!.id}`);
  await expect.poll(() => paintedPixels(page), { message: 'the graph is drawn' }).toBeGreaterThan(500);
  return first!.id;
}

/** Counts the graph's pixels that have the colour of the power line. */
export async function paintedPixels(page: Page): Promise<number> {
  const canvas = page.getByRole('application').locator('canvas');
  if ((await canvas.count()) === 0) return 0;
  return canvas.evaluate((element: HTMLCanvasElement) => {
    const context = element.getContext('2d')!;
    const wanted = document.createElement('canvas').getContext('2d')!;
    wanted.fillStyle = getComputedStyle(element).getPropertyValue('--power');
    wanted.fillRect(0, 0, 1, 1);
    const [red, green, blue] = wanted.getImageData(0, 0, 1, 1).data;
    const { data } = context.getImageData(0, 0, element.width, element.height);
    let count = 0;
    for (let place = 0; place < data.length; place += 4) {
      const isNear = [red, green, blue].every((part, index) => Math.abs(data[place + index]! - part!) < 24);
      if (data[place + 3]! > 200 && isNear) count += 1;
    }
    return count;
  });
}

/** Window and bucket of the graph, as drawn. */
export async function graphState(page: Page): Promise<{ from_ms: number; to_ms: number; resolution_ms: number }> {
  return page.getByRole('application').evaluate((element: HTMLElement) => ({
    from_ms: Number(element.dataset['fromMs']),
    to_ms: Number(element.dataset['toMs']),
    resolution_ms: Number(element.dataset['resolutionMs']),
  }));
}

/** Waits until the window shown has been loaded. */
export async function settled(page: Page): Promise<void> {
  await page.waitForTimeout(200);
  await expect(page.getByRole('region', { name: 'Power', exact: true })).toHaveAttribute('aria-busy', 'false');
}

export { expect };
