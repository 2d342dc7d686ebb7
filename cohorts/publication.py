"""How a synthetic copy of a trial is to be published: what its data steward decides, and no file says."""

from __future__ import annotations

import re
from datetime import date

from cohorts.parts import Frozen

SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


class Publication(Frozen):
    """What stands in a release for those who cite it and use it; each part may be left out.

    Args:
        title: of the data set.
        creator: the institution or person that publishes it.
        licence: its identifier in the SPDX list, such as CC-BY-4.0, or the address of its text.
        citation: how to cite the trial, or the synthetic copy, as a reference list has it.
        url: where it is published.
        published: on which day.
        version: of the data set.
    """

    title: str = ""
    creator: str = ""
    licence: str = ""
    citation: str = ""
    url: str = ""
    published: date | None = None
    version: str = ""

    @property
    def licence_url(self) -> str:
        """Where the licence can be read; a licence that is neither identifier nor address as it is.

        Example:
            >>> Publication(licence="CC-BY-4.0").licence_url
            'https://spdx.org/licenses/CC-BY-4.0.html'
        """
        return f"https://spdx.org/licenses/{self.licence}.html" if SPDX.fullmatch(self.licence) else self.licence
