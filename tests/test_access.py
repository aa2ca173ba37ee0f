"""Access by the rules of WCAG, levels A and AA, as axe-core checks them: all in light, the contrast in dark too."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import HTML, open_page
from playwright.sync_api import Browser, Page

AXE = Axe()
ALL = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
RULES = {"light": ALL, "dark": {"type": "rule", "values": ["color-contrast"]}}
FIGURES = [
    "voice-party",
    "soft-dictionary",
    "listening-figure",
    "family-tree",
    "attention-view",
    "position-dials",
    "flash-tiles",
]
# Nine tenths of the time go into the contrast of code, thousands of words in a few colours: keep one word of each.
THIN = """seen => {
    const known = new Set(seen);
    for (const word of document.querySelectorAll('.highlight pre span')) {
        const kind = [word.className, !!word.closest('.cell_input'), !!word.closest('.cell_output')].join();
        if (known.has(kind)) word.replaceWith(...word.childNodes);
        known.add(kind);
    }
    return [...known];
}"""
# Change everything that can be changed, as a reader would, and open what is folded.
PLAY = """figure => {
    const each = (selector, act) => figure.querySelectorAll(`.live ${selector}`).forEach(act);
    each('button', (button) => button.click());  // the way back among them
    each('input[type=radio]', (choice) => choice.click());
    each('input[type=checkbox]', (choice) => choice.click());
    each('input[type=range]', (slider) => {
        slider.stepUp(3);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
    });
    each('details', (details) => (details.open = true));
    each('select', (select) => {
        select.selectedIndex = select.options.length - 1;
        select.dispatchEvent(new Event('change', { bubbles: true }));
    });
}"""


def violations(page: Page, rules: dict[str, Any], context: str | None = None) -> list[tuple[str, Any]]:
    found = AXE.run(page, context=context, options={"runOnly": rules, "resultTypes": ["violations"]}).response
    return [(rule["id"], node["target"]) for rule in found["violations"] for node in rule["nodes"]]


def load(page: Page, address: str) -> None:
    page.goto(address)  # of a server: from the file system axe may not read the style sheets
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")


def chosen(pages: list[str]) -> list[str]:
    """All pages; of those with source, which one template and one highlighter make, the list and two."""
    sources = ("_modules/index.html", "_modules/course_utils/masks.html", "_modules/course_utils/flash_triton.html")
    return [name for name in pages if not name.startswith("_modules/") or name in sources]


@pytest.mark.parametrize("part", range(4))
def test_no_page_breaks_a_rule(browser: Browser, pages: list[str], server: str, part: int) -> None:
    """Nor does any ask for what is not there, or of another host."""
    page, troubles = open_page(browser, reduced_motion="reduce")
    page.on("request", lambda request: request.url.startswith((server, "data:")) or troubles.append(request.url))
    seen: list[str] = []
    broken = {}
    for name in chosen(pages)[part::4]:
        load(page, server + name)
        assert not troubles, name
        seen = page.evaluate(THIN, seen)
        for theme, rules in RULES.items():
            page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
            broken[f"{name}, {theme}"] = violations(page, rules)
        troubles.clear()  # axe asks for the style sheets
    page.context.close()
    assert {name: found for name, found in broken.items() if found} == {}


@pytest.mark.parametrize("theme", RULES)
@pytest.mark.parametrize("figure", FIGURES)
def test_no_figure_breaks_a_rule_after_it_was_played_with(
    browser: Browser, pages: list[str], server: str, figure: str, theme: str
) -> None:
    name = next(name for name in pages if f"<{figure}" in (HTML / name).read_text(encoding="utf-8"))
    page, troubles = open_page(browser, theme, reduced_motion="reduce")
    load(page, server + name)
    place = page.locator(figure).first
    before = place.evaluate("figure => JSON.stringify(figure.state)")
    place.evaluate(PLAY)
    assert place.evaluate("figure => JSON.stringify(figure.state)") != before
    assert not troubles  # before axe asks for files of its own
    assert violations(page, ALL, figure) == []
    page.context.close()


def test_a_broken_rule_is_seen(browser: Browser) -> None:
    page, _ = open_page(browser)
    page.set_content(
        '<html lang="en"><title>x</title><main><h1>x</h1><button></button>'
        '<p style="color: #aaa; background: #fff">pale words</p></main>'
    )
    assert {rule for rule, _ in violations(page, ALL)} == {"button-name", "color-contrast"}
    page.context.close()
