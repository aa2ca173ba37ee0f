// How search orders what it found: what bears the very name that was asked for, then chapters, other pages, assignments,
// names of the package. The rest is as Sphinx has it.
const RANKS = [[/^\d\d/, 100], [/^exercises\//, -100], [/^api\//, -200]];
const plainWords = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

// Terms of the glossary, pages by that title, the package's functions, classes and methods, sections by that title.
function rankOfName([, title, anchor, description, score]) {
  const asked = plainWords(new URLSearchParams(location.search).get("q"));
  const isNamed = (separator) => plainWords(title.split(separator).at(-1)) === asked;
  if (anchor.startsWith("#term-")) return score === 100 ? 500 : 0; // Sphinx's score of a term that is the query itself
  if (/^Python (function|class|method),/.test(description)) return isNamed(".") || isNamed() ? 300 : 0;
  return isNamed() ? 400 : !description && isNamed(" > ") ? 150 : 0;
}

var Scorer = {
  score: (found) => found[4] + (rankOfName(found) || (RANKS.find(([pages]) => pages.test(found[0])) ?? [, 0])[1]),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

// From the file system no page may be asked for its words.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
