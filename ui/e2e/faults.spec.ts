// What the page says when something is wrong.

import { expect, openFirstMeter, test } from './engine';

test('page_opened_before_the_engine_answers_fills_when_it_does', async ({ page, engine }) => {
  await page.route('**/api/**', (route) => route.abort());
  await page.goto(engine.url);
  await expect(page.getByRole('heading', { name: 'Waiting for ofmon' })).toBeVisible();
  await expect(page.getByRole('alert')).toContainText('ofmon is not answering');
  await page.unroute('**/api/**');
  await expect(page.getByRole('article')).toHaveCount(3);
});

test('answer_of_something_else_is_named_as_such', async ({ page, engine }) => {
  await page.route('**/api/v1/devices', (route) => route.fulfill({ contentType: 'text/html', body: '<h1>Log in</h1>' }));
  await page.goto(engine.url);
  await expect(page.getByRole('alert')).toContainText('What answers here is not ofmon.');
  await page.unroute('**/api/v1/devices');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('article')).toHaveCount(3);
});

test('refusal_shows_the_words_and_the_hint_of_the_engine', async ({ page, engine }) => {
  const error = { code: 'storage', message: 'The store cannot be read.', hint: 'Check the disk.' };
  await page.route('**/api/v1/devices', (route) => route.fulfill({ status: 500, json: { error } }));
  await page.goto(engine.url);
  await expect(page.getByRole('alert')).toContainText('The store cannot be read.');
  await expect(page.getByRole('alert')).toContainText('Check the disk.');
});

test('empty_store_says_what_to_do', async ({ page, engine }) => {
  await page.route('**/api/v1/devices', (route) => route.fulfill({ json: [] }));
  await page.goto(engine.url);
  await expect(page.getByRole('heading', { name: 'No meters yet' })).toBeVisible();
  await expect(page.getByRole('main')).toContainText('ofmon scan');
  await page.screenshot({ path: 'e2e/out/empty.png' });
});

test('unknown_meter_and_unknown_page_lead_back_to_the_list', async ({ page, engine }) => {
  await page.goto(`${engine.url}#/meters/000000000000`);
  await expect(page.getByRole('heading', { name: 'There is no such meter' })).toBeVisible();
  await page.goto(`${engine.url}#/elsewhere`);
  await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible();
  await page.getByRole('main').getByRole('link', { name: 'All meters' }).click();
  await expect(page.getByRole('article')).toHaveCount(3);
});

test('browser_with_the_broken_language_c_still_draws', async ({ page, engine }) => {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'language', { get: () => 'C', configurable: true });
    Object.defineProperty(Navigator.prototype, 'languages', { get: () => ['C'], configurable: true });
  });
  await openFirstMeter(page, engine);
  expect(await page.evaluate(() => navigator.language)).toBe('en-GB');
});

test('times_follow_the_zone_of_the_engine_not_of_the_browser', async ({ browser, engine }) => {
  const { time_zone } = await engine.get<{ time_zone: string }>('status');
  const texts: string[] = [];
  for (const timezoneId of ['Pacific/Auckland', 'America/Lima']) {
    const context = await browser.newContext({ timezoneId, locale: 'en-GB' });
    const page = await context.newPage();
    await openFirstMeter(page, engine);
    texts.push((await page.locator('ol').innerText()).replace(/\s+/g, ' '));
    await expect(page.getByText(`Times in ${time_zone}`)).toBeVisible();
    await context.close();
  }
  expect(texts[0]).toBe(texts[1]);
});

test('collecting_reports_failures_by_name', async ({ page, engine }) => {
  const [first] = await engine.get<{ id: string; name: string }[]>('devices');
  const job = { id: '7', state: 'failed', message: null, progress: [{ device: first!.id, done: 0, total: 0, error: 'not in range' }] };
  await page.route('**/api/v1/collect', (route) => {
    expect(route.request().headers()['x-ofmon']).toBe('1');
    return route.fulfill({ json: { job: '7' } });
  });
  await page.route('**/api/v1/jobs/7', (route) => route.fulfill({ json: job }));
  await page.goto(engine.url);
  await page.getByRole('button', { name: 'Collect now' }).click();
  await expect(page.getByText(`${first!.name}: not in range`)).toBeVisible();
});
