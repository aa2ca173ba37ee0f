// How search orders what it found: names of the package come after what chapters say. The rest is as Sphinx has it.
var Scorer = {
  score: ([page, , , , score]) => (page.startsWith("api/") ? score - 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
