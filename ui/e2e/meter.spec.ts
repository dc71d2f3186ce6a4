// One meter: its graph is drawn and zooms, its bars are the engine's.

import { expect, graphState, openFirstMeter, paintedPixels, settled, test } from './engine';

interface EnergyAnswer {
  bars: { import_wh: number }[];
}

test('drag_narrows_the_window_and_loads_finer_data_and_back_undoes_it', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  await settled(page);
  const before = await graphState(page);
  const drawing = (await page.locator('.u-over').boundingBox())!;
  const loaded = page.waitForResponse((response) => response.url().includes('/power?') && response.ok());
  await page.mouse.move(drawing.x + drawing.width * 0.5, drawing.y + 60);
  await page.mouse.down();
  await page.mouse.move(drawing.x + drawing.width * 0.6, drawing.y + 80, { steps: 8 });
  await page.mouse.up();
  const asked = new URL((await loaded).url()).searchParams;
  await expect.poll(async () => (await graphState(page)).resolution_ms).toBeLessThan(before.resolution_ms);
  const after = await graphState(page);
  const span = before.to_ms - before.from_ms;
  expect((after.to_ms - after.from_ms) / span).toBeCloseTo(0.1, 1);
  expect((after.from_ms - before.from_ms) / span).toBeCloseTo(0.5, 1);
  expect(Number(asked.get('to_ms')) - Number(asked.get('from_ms'))).toBeLessThan(span / 5);
  await expect.poll(() => paintedPixels(page)).toBeGreaterThan(200);
  await page.screenshot({ path: 'e2e/out/zoomed.png', fullPage: true });
  await page.goBack();
  await expect.poll(async () => (await graphState(page)).resolution_ms).toBe(before.resolution_ms);
});

test('buttons_and_keys_zoom_move_and_reset', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  const width = async () => {
    const { from_ms, to_ms } = await graphState(page);
    return to_ms - from_ms;
  };
  const day = await width();
  await page.getByRole('button', { name: 'Zoom in' }).click();
  await expect.poll(width).toBe(day / 2);
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await expect.poll(width).toBe(day * 2);
  await page.getByRole('button', { name: 'Reset' }).click();
  await expect.poll(width).toBe(day);
  await expect(page.getByRole('button', { name: 'Later', exact: true })).toBeDisabled();

  const graph = page.getByRole('application');
  await graph.focus();
  const { from_ms } = await graphState(page);
  await page.keyboard.press('ArrowLeft');
  await expect.poll(async () => from_ms - (await graphState(page)).from_ms).toBeGreaterThan(day / 5);
  await page.keyboard.press('+');
  await expect.poll(width).toBe(day / 2);
  await page.keyboard.press('0');
  await expect.poll(width).toBe(day);
  await page.getByRole('group', { name: 'Length of time' }).getByRole('button', { name: '7 d' }).click();
  await expect.poll(width).toBe(day * 7);
  await expect(page.getByRole('status').filter({ hasText: /average .* highest .* lowest/ })).toBeAttached();
});

test('graph_survives_a_reload_at_the_same_window', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  await page.getByRole('button', { name: 'Zoom in' }).click();
  await settled(page);
  const before = await graphState(page);
  await page.reload();
  await expect.poll(() => paintedPixels(page)).toBeGreaterThan(200);
  expect(await graphState(page)).toMatchObject({ from_ms: before.from_ms, to_ms: before.to_ms });
});

test('bars_are_the_days_of_the_engine_and_their_sum_is_written', async ({ page, engine }) => {
  const answered = page.waitForResponse((response) => response.url().includes('/energy?') && response.ok());
  await openFirstMeter(page, engine);
  const { bars } = (await (await answered).json()) as EnergyAnswer;
  expect(bars.length).toBeGreaterThanOrEqual(14);
  const section = page.getByRole('region', { name: 'Energy per day' });
  const buttons = section.getByRole('button', { name: /Show this day/ });
  await expect(buttons).toHaveCount(bars.length);
  const drawn = await buttons.evaluateAll((all) => all.map((bar) => Number((bar as HTMLElement).dataset['importWh'])));
  expect(drawn).toEqual(bars.map(({ import_wh }) => import_wh));
  const total_wh = bars.reduce((sum, { import_wh }) => sum + import_wh, 0);
  expect(total_wh).toBeGreaterThan(1000);
  const written = await section.locator('[data-total-wh]').innerText();
  expect(Math.abs(Number(written.replace(/[^\d.]/g, '')) - total_wh / 1000)).toBeLessThan(0.06);

  // Heights are in proportion, within a pixel.
  const heights = await section.locator('.bar:not(.export)').evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().height));
  const highest = Math.max(...drawn);
  const tallest = Math.max(...heights);
  drawn.forEach((value, index) => expect(Math.abs(heights[index]! - (tallest * value) / highest)).toBeLessThan(1.5));

  await section.getByText('As a table').click();
  await expect(section.getByRole('row')).toHaveCount(bars.length + 1);
});

test('bar_leads_to_its_day_in_the_graph', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  const bar = page.getByRole('button', { name: /Show this day/ }).nth(10);
  await bar.click();
  await settled(page);
  const { from_ms, to_ms } = await graphState(page);
  expect(to_ms - from_ms).toBeGreaterThanOrEqual(23 * 3_600_000);
  expect(to_ms - from_ms).toBeLessThanOrEqual(25 * 3_600_000);
  const day = (await bar.getAttribute('title'))!.split(':')[0]!;
  const { time_zone } = await engine.get<{ time_zone: string }>('status');
  const options = { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: time_zone } as const;
  expect(new Intl.DateTimeFormat('en-GB', options).format(from_ms)).toBe(day);
});

test('earlier_days_without_readings_say_so', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  const section = page.getByRole('region', { name: 'Energy per day' });
  for (let press = 0; press < 3; press += 1) await section.getByRole('button', { name: 'Earlier days' }).click();
  await expect(section.getByText('Nothing was recorded on these days.')).toBeVisible();
  await section.getByRole('button', { name: '7 d' }).click();
  await expect(section.getByRole('button', { name: /Show this day/ })).not.toHaveCount(0);
});
