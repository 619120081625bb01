"""The flame graph: the same stacks give the same picture, and every sample belongs to one part."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.flame import LEAST, LOOP, OTHER, WIDTH, shares, stacks, svg

OUTSIDE = "main (cli/main.py:8);Runner.run (asyncio/runners.py:118)"
RAW = f"""{OUTSIDE};drive (core/engine/driver.py:12);decide (core/machine/decide.py:7) 30
{OUTSIDE};drive (core/engine/driver.py:99);decide (core/machine/decide.py:8);<lambda> (lib/<b> & c.py:1) 10
{OUTSIDE};drive (core/engine/driver.py:13);post (adapters/providers/wire/client.py:1);write (uvloop.py:2) 40
{OUTSIDE};watch (core/engine/health/board.py:1) 8
{OUTSIDE} 10
_bootstrap (threading.py:1);work (queue.py:3) 1
{OUTSIDE};drive (core/engine/driver.py:12);rare (core/engine/rare.py:7) 1
"""
NS = "{http://www.w3.org/2000/svg}"


def test_a_sample_belongs_to_the_innermost_function_of_ours() -> None:
    found = dict(shares(stacks(RAW)))
    assert found == {
        "decisions, state, journal, templates": 0.40,
        "calls: adapters and their HTTP client": 0.40,
        LOOP: 0.10,
        "health: breakers, routing, numbers": 0.08,
        "engine: drivers, waits, views": 0.01,
        OTHER: 0.01,
    }
    assert next(iter(found.values())) == max(found.values())


def test_lines_of_one_function_are_one_box_as_wide_as_their_share() -> None:
    picture = ET.fromstring(svg(stacks(RAW), 'a "title" <here>'))  # noqa: S314 - we made it
    boxes = {group.findtext(f"{NS}title"): group.find(f"{NS}rect") for group in picture.iter(f"{NS}g")}
    drive = boxes["drive (core/engine/driver.py): 81.0%"]
    assert drive is not None
    assert float(drive.attrib["width"]) == pytest.approx(0.81 * WIDTH, abs=0.1)
    decide = boxes["decide (core/machine/decide.py): 40.0%"]
    assert decide is not None
    assert float(decide.attrib["y"]) > float(drive.attrib["y"])
    assert "<lambda> (lib/<b> & c.py): 10.0%" in boxes
    assert not any("Runner.run" in str(name) or "cli/main" in str(name) for name in boxes)
    widths = [
        float(box.attrib["width"]) + float(box.attrib["x"]) for box in boxes.values() if box is not None
    ]
    assert max(widths) <= WIDTH + 0.1


def test_the_picture_is_the_same_whatever_the_order_of_the_lines() -> None:
    turned = "\n".join(reversed(RAW.splitlines()))
    assert svg(stacks(RAW), "t") == svg(stacks(turned), "t")


def test_what_is_rare_is_left_out_and_a_large_profile_stays_small() -> None:
    many = "\n".join(
        f"{OUTSIDE};f{n} (core/engine/f.py:{n});g{n} (core/engine/g.py:{n}) 1" for n in range(20_000)
    )
    often = "\n".join(f"{OUTSIDE};often{n} (core/engine/o.py:1) 400" for n in range(100))
    picture = svg(stacks(f"{many}\n{often}"), "t")
    assert LEAST > 1 / 60_000
    assert "often99" in picture
    assert "g19999" not in picture
    assert len(picture) < 200_000


def test_no_stacks_at_all_make_a_picture_and_no_shares() -> None:
    assert svg(stacks(""), "t").startswith("<svg")
    assert shares(stacks("")) == []


def test_a_line_that_is_no_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        stacks("main (cli/main.py:8);and no count")
