"use strict";
/* The rule of device_bench/report/choose.py once more; a test holds the two against each other. */

const NEAREST = 3;

/* Returns {chosen: index or null, fitting, nearest: [{index, short, over}], unfit: [index]}. Latency in microseconds. */
function chooseArtifact(results, device, minAccuracy, maxP95, model) {
  const judged = [];
  const unfit = [];
  results.forEach((row, index) => {
    if (row.device !== device || (model && row.model !== model)) return;
    if (row.unfit !== null) {
      unfit.push(index);
      return;
    }
    const short = Math.max(0, minAccuracy - row.top1);
    const over = Math.max(0, row.p95 / maxP95 - 1);
    judged.push({ index, row, short, over, distance: (short ? short / minAccuracy : 0) + over });
  });
  const cost = (a, b) =>
    a.row.size - b.row.size || a.row.p95 - b.row.p95 || a.row.threads - b.row.threads ||
    (a.row.id < b.row.id ? -1 : Number(a.row.id > b.row.id));
  const fitting = judged.filter((c) => c.distance === 0).sort(cost);
  const nearest = judged.filter((c) => c.distance > 0).sort((a, b) => a.distance - b.distance || cost(a, b));
  return {
    chosen: fitting.length ? fitting[0].index : null,
    fitting: fitting.length,
    nearest: fitting.length ? [] : nearest.slice(0, NEAREST),
    unfit,
  };
}
