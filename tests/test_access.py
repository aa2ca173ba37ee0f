"""Access by the rules of WCAG, levels A and AA, as axe-core checks them; those about colours in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import HTML, open_page, turn
from playwright.sync_api import Browser, Page

AXE = Axe()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]
ALL = {"runOnly": {"type": "tag", "values": TAGS}}
ALL_BUT_COLOURS = {**ALL, "rules": {rule: {"enabled": False} for rule in COLOURS}}
ONLY_COLOURS = {"runOnly": {"type": "rule", "values": COLOURS}}
THEMES = ("light", "dark")
FIGURES = [
    "voice-party",
    "soft-dictionary",
    "listening-figure",
    "family-tree",
    "attention-view",
    "position-dials",
    "flash-tiles",
]
# Nine tenths of the time go into colours, and what these rules say of a text depends on its look, on what is behind it
# and, of a link, on the words around it: mark the first text of all that is not known yet.
MARK_NEW_LOOKS = """seen => {
    const known = new Set(seen);
    const behind = new Map([[null, '']]);
    const under = (element) => {
        if (!behind.has(element)) {
            const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
            const own = [backgroundColor, backgroundImage, opacity].join();
            const seenThrough = own === 'rgba(0, 0, 0, 0),none,1';
            behind.set(element, under(element.parentElement) + (seenThrough ? '' : own));
        }
        return behind.get(element);
    };
    for (const element of document.body.querySelectorAll('*')) {
        element.removeAttribute('data-new-look');
        const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim().length > 1;  // axe skips letters
        if (![...element.childNodes].some(isText) || !element.checkVisibility({ visibilityProperty: true })) continue;
        const { color, fill, fontSize, fontWeight } = getComputedStyle(element);
        const link = element.closest('a');
        const around = link && getComputedStyle(link.parentElement).color;
        const look = [color, fill, fontSize, fontWeight, around, under(element)].join();
        if (!known.has(look)) (link ?? element).setAttribute('data-new-look', '');
        known.add(look);
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


def violations(page: Page, options: dict[str, Any], context: str | None = None) -> list[tuple[str, Any]]:
    found = AXE.run(page, context=context, options={**options, "resultTypes": ["violations"]}).response
    return [(rule["id"], node["target"]) for rule in found["violations"] for node in rule["nodes"]]


def pale(page: Page, looks: set[str]) -> list[tuple[str, Any]]:
    """What has too little contrast among the texts of a new look; the looks are added to those that are known."""
    looks.update(page.evaluate(MARK_NEW_LOOKS, list(looks)))
    marked = "[data-new-look]"
    return violations(page, ONLY_COLOURS, marked) if page.locator(marked).count() else []


def load(page: Page, address: str) -> None:
    page.goto(address)  # of a server: from the file system axe may not read the style sheets
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")


def chosen(pages: list[str]) -> list[str]:
    """All pages; of those with source, which one template and one highlighter make, the list and two."""
    sources = ("_modules/index.html", "_modules/course_utils/masks.html", "_modules/course_utils/flash_triton.html")
    return [name for name in pages if not name.startswith("_modules/") or name in sources]


@pytest.mark.parametrize("part", range(2))
def test_no_page_breaks_a_rule(browser: Browser, pages: list[str], server: str, part: int) -> None:
    """Nor does any ask for what is not there, or of another host."""
    page, troubles = open_page(browser, reduced_motion="reduce")
    page.on("request", lambda request: request.url.startswith((server, "data:")) or troubles.append(request.url))
    looks: set[str] = set()
    broken = {}
    for name in chosen(pages)[part::2]:
        load(page, server + name)
        assert not troubles, name
        broken[name] = violations(page, ALL_BUT_COLOURS)
        for theme in THEMES:
            turn(page, theme)
            broken[f"{name}, {theme}"] = pale(page, looks)
        troubles.clear()  # axe asks for the style sheets
    page.context.close()
    assert {name: found for name, found in broken.items() if found} == {}


@pytest.mark.parametrize("figure", FIGURES)
def test_no_figure_breaks_a_rule_after_it_was_played_with(
    browser: Browser, pages: list[str], server: str, figure: str
) -> None:
    name = next(name for name in pages if f"<{figure}" in (HTML / name).read_text(encoding="utf-8"))
    page, troubles = open_page(browser, reduced_motion="reduce")
    load(page, server + name)
    place = page.locator(figure).first
    before = place.evaluate("figure => JSON.stringify(figure.state)")
    place.evaluate(PLAY)
    assert place.evaluate("figure => JSON.stringify(figure.state)") != before
    assert not troubles  # before axe asks for files of its own
    for theme in THEMES:
        turn(page, theme)
        assert violations(page, ALL, figure) == [], theme
    page.context.close()


def test_a_broken_rule_is_seen(browser: Browser) -> None:
    page, _ = open_page(browser)
    page.set_content(
        '<html lang="en"><title>x</title><main><h1>x</h1><button></button>'
        '<p style="color: #aaa; background: #fff">pale words</p></main>'
    )
    assert {rule for rule, _ in violations(page, ALL_BUT_COLOURS)} == {"button-name"}
    looks: set[str] = set()
    assert pale(page, looks) == [("color-contrast", ["p"])]
    assert pale(page, looks) == []  # a look that is known
    page.locator("main").evaluate("main => { main.style.background = '#ddd'; }")
    page.locator("p").evaluate("p => { p.style.background = ''; }")
    assert pale(page, looks) == [("color-contrast", ["p"])]
    page.locator("p").evaluate(
        "p => { p.innerHTML = 'words and <a href=x style=\"color: #333; text-decoration: none\">a link</a>'; }"
    )
    page.locator("p").evaluate("p => { p.style.color = '#222'; }")
    assert pale(page, looks) == [("link-in-text-block", ["a"])]
    page.context.close()
