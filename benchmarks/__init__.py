"""Speed comparisons with peers, as ratios measured in one run; each is a module to be run."""
