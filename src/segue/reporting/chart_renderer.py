"""A program that renders charts, which `segue.reporting.chart_files` runs in a process of its own.

    python -m segue.reporting.chart_renderer < work.json > files.json

It reads its work as JSON from the standard input: `format` ("svg", "png" or "html"), `version` of Vega-Lite,
`specifications` of the charts, and `options` of vl-convert. It writes a JSON list with each file in base64.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode


def main() -> None:
    """Render what the standard input asks for."""
    import vl_convert  # of the extra `viz`

    work = json.load(sys.stdin)
    render = getattr(vl_convert, f"vegalite_to_{work['format']}")
    files = [render(one, vl_version=work["version"], **work["options"]) for one in work["specifications"]]
    files = [file.encode() if isinstance(file, str) else file for file in files]
    json.dump([b64encode(file).decode() for file in files], sys.stdout)


if __name__ == "__main__":
    main()
