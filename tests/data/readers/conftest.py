"""Files that readers read."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a file of that name; the path."""

    def put(content, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put
