/** Tests mostly wait (for a pool, a server, a program's progress): several at once use the processors that one alone leaves idle. */

/** Runs `work` on every item, `lanes` at a time, in the order given; all results, in the order of the items. The first rejection is passed on. */
export async function inLanes<Item, Result>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const lane = async () => {
    for (const [index, item] of waiting) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}
