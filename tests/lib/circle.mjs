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

/** Sends points to a member, for a reason that the page does not show yet; answers the entry. @param {Page} page */
export async function thank(page, to, amount, reason) {
  const option = page.getByTestId('thanks-to').locator('option').filter({ hasText: to });
  await option.waitFor({ state: 'attached' });
  await page.getByTestId('thanks-to').selectOption((await option.getAttribute('value')) ?? '');
  await page.getByTestId('thanks-amount').fill(String(amount));
  await page.getByTestId('thanks-reason').fill(reason);
  await page.getByTestId('thanks-send').click();
  const written = entry(page, reason);
  await written.waitFor();
  return written;
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

/** Waits until each of these texts is shown, and refuses one that is shown twice. @param {Page} page @param {string[]} texts */
export async function eachOnce(page, texts) {
  let counts = [];
  const count = async () => {
    const shown = await entries(page);
    counts = texts.map((text) => shown.filter((one) => one.text?.includes(text)).length);
    return shown;
  };
  await waitFor(async () => {
    await count();
    return counts.every((times) => times > 0);
  }, undefined, 'each text is shown').catch((error) => {
    error.message += `: lacking ${texts.filter((_, i) => counts[i] === 0).join(', ')}`;
    throw error;
  });
  const shown = await count();
  const twice = texts.filter((_, i) => counts[i] !== 1);
  const ids = shown.map(({ id }) => id);
  if (twice.length > 0) throw new Error(`Not shown once: ${twice.join(', ')}`);
  if (new Set(ids).size !== ids.length) throw new Error('An entry is shown twice.');
}

/** Waits until the page says that its relay is away. @param {Page} page */
export async function cutOff(page) {
  await page.getByTestId('relay-off').waitFor();
}

/** Makes a further invite by the form for it; answers its link. @param {Page} page */
export async function newInvite(page, { uses, days = 7 }) {
  const before = await inviteLink(page);
  const form = page.locator('section[aria-labelledby=invite] form');
  await form.evaluate((node) => node.closest('details')?.setAttribute('open', ''));
  await form.locator('input').nth(0).fill(String(uses));
  await form.locator('input').nth(1).fill(String(days));
  await form.locator('button').click();
  return waitFor(async () => {
    const link = await inviteLink(page);
    return link !== before && link;
  }, undefined, 'a new invite link');
}

/** Waits for what the page says went wrong: its code, and the sentence. @param {Page} page @param {string} [code] */
export async function alert(page, code) {
  const shown = code ? page.locator(`[data-testid=alert][data-code=${code}]`) : page.getByTestId('alert');
  try {
    await shown.first().waitFor();
  } catch (error) {
    const all = await page.getByTestId('alert').evaluateAll((nodes) => nodes.map((node) => node.outerHTML));
    throw new Error(`The page does not say ${code ?? 'anything'}, but: ${all.join(' ') || 'nothing'}`, { cause: error });
  }
  const name = await shown.first().getAttribute('data-code');
  await waitFor(async () => (await shown.first().textContent())?.trim() !== name, undefined, 'the words have come');
  return {
    code: name,
    text: ((await shown.first().textContent()) ?? '').trim(),
  };
}

/** Opens what is folded, unless it is open. @param {Page} page */
export async function unfold(page, testid) {
  const summary = page.getByTestId(testid);
  await summary.waitFor({ state: 'attached' });
  if (!(await summary.evaluate((node) => node.closest('details')?.open))) await summary.click();
}

/** On a narrow screen the two panes lie side by side: swipes to the one that holds this. @param {Page} page */
export async function show(page, testid) {
  const node = page.getByTestId(testid).first();
  await node.waitFor({ state: 'attached' });
  const inCircle = await node.evaluate((one) => one.closest('aside') !== null);
  const tab = page.locator('nav button').nth(inCircle ? 1 : 0);
  if (await tab.isVisible()) {
    await tab.click();
    await waitFor(() => node.evaluate((one) => Math.abs(one.closest('aside, main')?.getBoundingClientRect().x ?? 1) < 1), undefined, 'the pane stands still');
  }
  await node.scrollIntoViewIfNeeded();
}

/** Shows the older entries too. @param {Page} page */
export async function showAll(page) {
  const older = page.locator('button.older');
  while (await older.isVisible()) {
    const before = (await entries(page)).length;
    // At once: scrolling to it shows older entries too, and may take it away.
    await older.evaluateAll((buttons) => buttons.forEach((button) => /** @type {HTMLElement} */ (button).click()));
    await waitFor(async () => (await entries(page)).length > before || !(await older.isVisible()), undefined, 'older entries show');
  }
}
