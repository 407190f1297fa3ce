"""Why Strata's readers and the reference readers may differ: every deliberate difference, with its reason."""

import re

RULES = {}


def explain(form, said, ours, theirs, data):
    """The reason of a difference; None where there is none."""
    for verdict, code, reference, reason in RULES.get(form, ()):
        if said == verdict and re.search(code, f"{ours.fault}: {ours.reason}") \
                and re.search(reference, f"{theirs.fault}: {theirs.reason}"):
            return reason
    return None
