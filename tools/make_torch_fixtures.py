#!/usr/bin/env python
"""Make fixtures/torch/<version>: files of the torch that is installed, as it writes them.

    python tools/make_torch_fixtures.py             make this version's folder anew
    tools/make_torch_fixtures.sh                    every version, each in an environment of its own

expected.json says what torch itself reads in each file:

    {"torch", "python", "numpy",
     "files": {name: {"tensors": [{"name", "dtype", "shape", "hex"} or {..., "refused": code}],
                      "key"?, "golden"?, "convert"?, "modules"?}
                     or {"refused": code, "why"}},
     "left_out": {name: what this version says instead of writing it}}

where names are whole paths, `hex` is row-major and little-endian, `key` is the state dict that is
meant where a file holds several, `golden` a file of inputs and outputs and `convert` the arguments
that belong to it. Runs under every Python from 2.7 on and every torch from 1.0 on.
"""

import argparse
import os
import shutil
import sys
import warnings

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch_archives  # noqa: E402
import torch_checkpoints  # noqa: E402
import torch_tensors  # noqa: E402
from torch_fixture import Folder  # noqa: E402
from torch_models import hide_sources  # noqa: E402

FIXTURES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                        "fixtures", "torch")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", metavar="FOLDER", default=FIXTURES, help="elsewhere")
    parser.add_argument("--only", metavar="NAME", action="append", help="one variant; repeatable")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    hide_sources()
    place = os.path.join(args.output, torch.__version__.split("+")[0])
    shutil.rmtree(place, ignore_errors=True)
    folder = Folder(place)
    for module in (torch_tensors, torch_checkpoints, torch_archives):
        for variant in module.VARIANTS:
            name = variant.__name__.replace("_", "-").strip("-")
            if args.only and name not in args.only:
                continue
            torch.manual_seed(1)
            try:
                variant(folder)
            except Exception as error:  # what a version cannot write, it says in many ways
                folder.leave_out(name, error)
    folder.close()
    print("%s: %d files" % (torch.__version__, len(folder.files)))
    for name in sorted(folder.left_out):
        print("  without %s: %s" % (name, folder.left_out[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
