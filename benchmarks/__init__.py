"""Programs that measure, as ratios in one run."""
