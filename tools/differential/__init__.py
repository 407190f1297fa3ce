"""Strata's readers beside the reference readers, on many thousands of damaged files."""
