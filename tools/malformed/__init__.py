"""What make_malformed.py is made of: builders of archives and pickles, and a module per format."""
