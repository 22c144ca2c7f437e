"""One process of several: it says whether it talks with other regions, and which one does."""

from __future__ import annotations

from node.services.several import Several
from tests.web.nodes import Caller
from tests.web.test_keys import figures


async def test_a_process_says_whether_it_talks_with_other_regions_and_which_one_does(hangzhou: Caller) -> None:
    found = await hangzhou.get("/v1/peers")
    assert (found["seals"], found["sealer"]) == (True, "")
    assert (await figures(hangzhou))["hutong_sealer",] == 1
    several = Several("west")
    several.sealer = "east"
    hangzhou.region.writer._several = several
    found = await hangzhou.get("/v1/peers")
    assert (found["seals"], found["sealer"]) == (False, "east")
    assert (await figures(hangzhou))["hutong_sealer",] == 0
    hangzhou.region.writer._several = None
