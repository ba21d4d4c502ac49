from pathlib import Path

import numpy as np
import pytest

from annpot.format import writing


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return a small complete file with one of each thing that can be written."""
    path = tmp_path / "saved.h5"
    with writing.create(path, "potential", '{"r_cut": 6.5}') as file:
        network = file.create_group("networks").create_group("Ti")
        writing.write_attribute(network, "activation", "tanh")
        writing.write_attribute(network, "nodes", 15)
        writing.write_attribute(network, "shift", -0.5)
        writing.write_attribute(network, "frozen", True)
        writing.write_array(network, "weights_0", np.arange(12.0).reshape(3, 4))
        writing.write_array(network, "sizes", [3, 4])
        G_nf = writing.create_rows(file, "G_nf", (5,))
        writing.append(G_nf, np.ones((2, 5)))
        writing.append(G_nf, np.full((3, 5), 2.0))
        names = writing.create_rows(file, "names", dtype=np.uint8)
        writing.append(names, writing.join_strings(["a.xsf", ""]))
        writing.append(names, writing.join_strings(["µ/\udcff.xsf"]))
        writing.write_strings(file, "species", ["Ti", "O"])
        writing.write_text(file, "remark", "Größe\n" * 20_000)
    return path
