// How search orders what it found: chapters, then other pages, assignments, names of the package. The rest is as Sphinx
// has it.
const RANKS = [[/^\d\d/, 100], [/^exercises\//, -100], [/^api\//, -200]];
var Scorer = {
  score: ([page, , , , score]) => score + (RANKS.find(([pages]) => pages.test(page)) ?? [, 0])[1],
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
