"""Scene files as they are typed by hand, and what becomes of them: for the tests of reading and saving.

Knows the fields of a file, but no limit and no error; those are what the tests are about.
"""

import json

import numpy as np
import pytest

from explorer.model.files import FileError, decode, save, schema
from tests.soak import check_error

HEAD = {"format": "backstep-scene", "version": 1, "min_reader": 1, "scene": "bptt"}


def document(**changes):
    return json.dumps(HEAD | changes).encode()


def code(data):
    """The error's code, or an empty text."""
    try:
        decode(data, "test.backstep")
    except FileError as error:
        check_error(error)
        return error.code
    return ""


def refused(path, state, **more):
    with pytest.raises(FileError) as caught:
        save(path, state, **more)
    check_error(caught.value)
    return caught.value


def chapter(i=0, **more):
    return {"id": f"c{i}", "title": "x", "text": "x", **more}


def array(n=1, **more):
    return {"shape": [n], "dtype": "f8", "data": [1] * n} | more


def zeros(*shape):
    return schema.from_array(np.zeros(shape, dtype="bool"))


def graph(nodes, values=None, loss="0"):
    """The fields of a file with these nodes; the node 0 is the loss."""
    return {"scene": "your-graph", "graph": {"loss": loss, "nodes": list(nodes), "values": values or {}}}


def bare(id, **more):
    return {"id": id, "kind": "constant", **more}


def leaf(id, **more):
    return bare(id, value=1.0, **more)


def node(id, op, *inputs, **more):
    return {"id": id, "op": op, "inputs": list(inputs), **more}
