"""The page in a real browser: reading, clicking, typing, and pages that a crash left."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser
from llmc.compiler.trace.writer import TraceWriter
from trace_reading import TEXT, kill_inside_a_pass


@pytest.fixture
def page(browser: Browser, traced: Path) -> Browser:
    browser.problems.clear()
    browser.open(traced / "index.html")
    return browser


def current(browser: Browser) -> str:
    return browser.value("document.querySelector('.pass.current .name').textContent")


def origin(browser: Browser) -> str:
    browser.until("!document.querySelector('#origin').innerText.includes('looking…')")
    return browser.value("document.querySelector('#origin').innerText")


def choose(browser: Browser, state: str, op: str) -> None:
    """Go to the first op of a name in a state, by its address in the page."""
    browser.value(
        f"(async () => {{ const s = await loadState({state});"
        f" await openOp(s.base + s.name.findIndex((n) => s.names[n] === '{op}')); }})()"
    )
    browser.settle()


def test_it_opens_without_an_error_or_a_request(page: Browser) -> None:
    assert page.value("document.querySelectorAll('.pass').length") > 15
    assert page.value("document.querySelector('#status').textContent") == ""
    assert page.value("document.querySelectorAll('#phases div').length") >= 5
    assert page.problems == []


def test_keys_walk_through_the_passes(page: Browser) -> None:
    first = current(page)
    page.key("j")
    second = current(page)
    assert second != first
    page.key("k")
    assert current(page) == first
    page.key("J")
    assert page.value("view.pass.changed") is True


def test_both_sides_of_a_changing_pass_are_shown_with_their_difference(page: Browser) -> None:
    page.value("openPass(trace.passes.find((p) => p.name === 'merge-linears'))")
    page.settle()
    assert page.value("document.querySelectorAll('#before .row.mod, #before .row.del').length") > 0
    assert page.value("document.querySelectorAll('#after .row.mod, #after .row.add').length") > 0
    before = page.value("panes.rows.filter((r) => r.l >= 0).length"), page.value("panes.left.lines.length")
    after = page.value("panes.rows.filter((r) => r.r >= 0).length"), page.value("panes.right.lines.length")
    assert before[0] == before[1] and after[0] == after[1], "every line stands in exactly one row"


def test_unchanged_stretches_are_folded_and_open_on_a_click(page: Browser) -> None:
    page.value("openPass(trace.passes.find((p) => p.name === 'introduce-state'))")
    page.settle()
    shown = page.value("panes.shown.length")
    assert page.value("document.querySelectorAll('#after .row.fold').length") > 0
    page.click("#after .row.fold")
    assert page.value("panes.shown.length") > shown


def test_clicking_a_ptx_line_tells_its_way_up_to_the_model(page: Browser) -> None:
    page.value("openPass(trace.passes.find((p) => p.name === 'PTX text' && streamName(p.stream).startsWith('linear')))")
    page.settle()
    row = page.value(
        "(() => { const at = panes.shown.findIndex((r) => r.r >= 0 && /mma|fma/.test(panes.right.lines[r.r])); showRow(at); return at; })()"
    )
    page.settle()
    page.click(f'#after .row[data-row="{row}"]')
    told = origin(page)
    assert ("nn.linear" in told and "self_attn" in told) or "mlp" in told or "lm_head" in told
    assert ".py:" in told and "after select-access" in told
    assert page.value("document.querySelectorAll('#before .row.from').length") > 0, "the other side shows where it came from"


def test_an_nn_op_tells_what_it_became_down_to_ptx_lines(page: Browser) -> None:
    choose(page, "0", "nn.linear")
    told = origin(page)
    assert "in the input" in told
    assert "PTX line" in told and "@linear" in told
    links = page.value("document.querySelectorAll('#became .link').length")
    assert links > 3
    page.value("document.querySelector('#became details').open = true")
    page.value("[...document.querySelectorAll('#became details .link')].pop().click()")
    page.settle()
    assert page.value("view.pass.name") == "PTX text" and page.value("view.op") is not None


def test_u_and_d_go_up_and_down_the_ways_of_an_op(page: Browser) -> None:
    choose(page, "trace.passes.find((p) => p.name === 'generalise').after", "linalg.generic")
    start = page.value("view.op")
    page.key("u")
    above = page.value("view.op")
    assert above < start
    page.key("d")
    assert page.value("view.op") > above


def test_one_kernel_can_be_shown_alone(page: Browser) -> None:
    name = page.value("trace.streams.find((s) => s.parent !== null).name")
    page.value(f"setShow('{name}')")
    page.settle()
    assert page.value("document.querySelectorAll('.group.kernel').length") == page.value(
        f"trace.streams.filter((s) => s.parent !== null && s.name.includes('{name}')).length"
    )
    page.value("openPass(trace.passes.find((p) => p.name === 'finalise-abi'))")
    page.settle()
    lines = page.value("panes.rows.filter((r) => r.r >= 0).map((r) => panes.right.lines[r.r])")
    assert f"@{name}" in lines[0] and len(lines) < page.value("panes.right.lines.length")
    page.value("setShow('')")


def test_finding_text_marks_it_and_goes_from_hit_to_hit(page: Browser) -> None:
    page.key("/")
    for letter in "nn.rms_norm":
        page.key(letter)
    total = page.value("panes.hits.length")
    assert total > 0 and page.value("document.querySelector('#hits').textContent") == str(total)
    page.key("Enter")
    assert page.value("document.querySelector('#hits').textContent").startswith("1/")
    assert page.value("document.querySelectorAll('mark.hit').length") > 0
    page.key("Escape")
    page.value("$('find').value = ''; search()")


def test_a_text_can_be_looked_for_in_all_passes(page: Browser) -> None:
    page.value("$('find').value = 'wgmma'; findEverywhere('tile.kernel')")
    page.until("list.found !== null")
    assert page.value("trace.passes.filter(passVisible).every((p) => p.phase === 'tile')")
    page.value("$('find').value = ''; findEverywhere('')")


def test_an_address_leads_to_a_pass_and_an_op(browser: Browser, traced: Path) -> None:
    browser.open(traced / "index.html", "#pass=6&op=12")
    assert browser.value("view.pass.id") == 6
    browser.open(traced / "index.html", "#op=12")
    assert browser.value("view.op") == 12 and "Came from" in origin(browser)


def test_remarks_are_listed_and_stand_beside_their_ops(page: Browser) -> None:
    page.value("openPass(trace.passes.find((p) => p.remarks.some((r) => r.op !== null)))")
    page.settle()
    assert page.value("document.querySelectorAll('#remarks .note').length") > 0
    assert page.value("panes.rows.some((row) => row.kind === 'remark')")
    page.click("#remarks .note")
    assert page.value("view.op") is not None


def test_forty_thousand_lines_stay_usable(browser: Browser, tmp_path: Path) -> None:
    count = 40_000
    writer = TraceWriter(tmp_path / "t", "long")
    writer.record({"k": "start", "title": "long", "time": ""})
    writer.record({"k": "stream", "id": 0, "name": "module", "parent": None})
    for state in (0, 1):
        lines = [
            f"  %{i + state * 7} = ptx.add s32 %{i}, {i % (97 + (i == 39_990) * state)} : !ptx.reg<b32>" for i in range(count)
        ]
        numbers = list(range(count))
        payload = {
            "text": "\n".join(lines) + "\n", "names": ["ptx.add"], "places": [""], "name": [0] * count, "place": [0] * count,
            "first": numbers, "last": numbers, "edges": numbers if state else [[]] * count, "symbols": [], "frames": [],
        }  # fmt: skip
        writer.store(f"s{state}", payload)
        outline = {"id": state, "stream": 0, "base": state * count, "count": count, "lines": count}
        writer.record({"k": "state", **outline, "from": [0] * state})
    step = {"id": 0, "stream": 0, "name": "renumber", "phase": "ptx", "before": 0, "after": 1, "seconds": 0.1}
    writer.record({"k": "pass", **step, "changed": True, "ops": [count, count], "delta": {}, "remarks": []})
    writer.record({"k": "end"})
    browser.problems.clear()
    browser.open(tmp_path / "t" / "index.html")
    assert browser.value("panes.rows.length") >= count
    assert browser.value("panes.rows.filter((r) => r.kind !== 'same').length") <= 2, "renumbering is no difference"
    assert browser.value("document.querySelectorAll('.row').length") < 300, "only what is on the screen is in the document"
    browser.key("e")
    browser.value("$('scroll').scrollTop = 1e9")
    browser.settle()
    assert browser.value("[...document.querySelectorAll('#after .row .no')].pop().textContent") == str(count)
    assert browser.value("document.querySelectorAll('.row').length") < 300
    assert browser.problems == []


def test_the_page_of_a_killed_compilation_opens_and_says_where_it_ended(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "x.mlir").write_text(TEXT)
    kill_inside_a_pass(tmp_path / "x.mlir", tmp_path / "t")
    browser.problems.clear()
    browser.open(tmp_path / "t" / "index.html")
    assert browser.value("document.querySelector('#status').textContent") == "ended early, in generalise"
    browser.key("j")
    assert current(browser) == "generalise"
    assert "nn.neg" in browser.value("document.querySelector('#before').innerText")
    assert browser.problems == []


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_page_cut_off_anywhere_opens(browser: Browser, traced: Path, tmp_path: Path, share: float) -> None:
    data = (traced / "index.html").read_bytes()
    start = data.index(b'<script type="application/json"')
    (tmp_path / "part.html").write_bytes(data[: start + int(share * (len(data) - start))])
    browser.problems.clear()
    browser.open(tmp_path / "part.html")
    assert browser.value("document.querySelectorAll('.pass').length") > 0
    assert "ended early" in browser.value("document.querySelector('#status').textContent")
    assert browser.problems == []
