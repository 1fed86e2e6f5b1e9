// What people do on the page, by its data-testids.

import { waitFor } from './wait.mjs';

/** The order in which an entry's status may advance. */
export const STATUSES = ['here', 'sent', 'seen', 'settled'];

/** @typedef {import('playwright-core').Page} Page */

/** Opens the owner's URL and starts a circle; answers the invite link. @param {Page} page */
export async function startCircle(page, relay, { name, yourName }) {
  await page.goto(relay.owner);
  await page.getByTestId('circle-name').fill(name);
  await page.getByTestId('your-name').fill(yourName);
  await page.getByTestId('start').click();
  return inviteLink(page);
}

/** Waits for the invite link that the page shows. @param {Page} page @returns {Promise<string>} */
export async function inviteLink(page) {
  const link = page.getByTestId('invite-link').first();
  await link.waitFor({ state: 'attached' });
  return waitFor(async () => {
    const text = await link.evaluate((node) => /** @type {any} */ (node).value || node.textContent || '');
    return text.trim().includes('/#/join/') && text.trim();
  });
}

/** Opens an invite and joins by a name. @param {Page} page */
export async function join(page, invite, yourName) {
  await page.goto(invite);
  await page.getByTestId('your-name').fill(yourName);
  await page.getByTestId('join').click();
  await page.getByTestId('compose').waitFor();
}

/** Writes a post and answers its entry. @param {Page} page */
export async function post(page, text) {
  await page.getByTestId('compose').fill(text);
  await page.getByTestId('post').click();
  const written = entry(page, text);
  await written.waitFor();
  return written;
}

/** The entry that shows a text. @param {Page} page */
export function entry(page, text) {
  return page.getByTestId('entry').filter({ hasText: text });
}

/** Waits until an entry's status is at least this. */
export async function reaches(locator, status) {
  await waitFor(
    async () => STATUSES.indexOf((await locator.getAttribute('data-status')) ?? '') >= STATUSES.indexOf(status),
    undefined,
    `an entry reaches ${status}`,
  );
}

/** All entries that the page shows: id and status, in order. @param {Page} page */
export function entries(page) {
  return page.getByTestId('entry').evaluateAll((nodes) =>
    nodes.map((node) => ({
      id: node.getAttribute('data-entry-id'),
      status: node.getAttribute('data-status'),
      text: node.textContent?.trim(),
    })),
  );
}

/** Sends points to a member. @param {Page} page */
export async function thank(page, to, amount, reason) {
  const option = page.getByTestId('thanks-to').locator('option').filter({ hasText: to });
  await option.waitFor({ state: 'attached' });
  await page.getByTestId('thanks-to').selectOption((await option.getAttribute('value')) ?? '');
  await page.getByTestId('thanks-amount').fill(String(amount));
  await page.getByTestId('thanks-reason').fill(reason);
  await page.getByTestId('thanks-send').click();
}

/** One's own balance, as the page shows it. @param {Page} page */
export async function balance(page) {
  const text = await page.getByTestId('balance').first().textContent();
  return Number(/-?\d+/.exec((text ?? '').replace(/[,\s]/g, ''))?.[0]);
}

/** The newest settled height and its state root. @param {Page} page */
export async function settled(page) {
  const node = page.getByTestId('settled-height').first();
  const height = Number(/\d+/.exec((await node.textContent()) ?? '')?.[0] ?? 0);
  return { height, root: await node.getAttribute('data-state-root') };
}

/** Waits until all pages show everything settled, at one height with one root; answers it. @param {Page[]} pages */
export async function agreed(...pages) {
  return waitFor(async () => {
    const lists = await Promise.all(pages.map(entries));
    if (!lists.every((list) => list.length > 0 && list.every((one) => one.status === 'settled'))) return null;
    const [first, ...others] = await Promise.all(pages.map(settled));
    const same = others.every((other) => other.height === first?.height && other.root === first?.root);
    return first && first.height > 0 && first.root && same ? first : null;
  }, undefined, 'all pages settle on the same state root');
}
