// How search orders what it found: chapters, then assignments, then names of the package. The rest is as Sphinx has it.
var Scorer = {
  score: ([page, , , , score]) => score - (page.startsWith("api/") ? 200 : page.startsWith("exercises/") ? 100 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
