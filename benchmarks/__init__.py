"""Programs that measure, as ratios in one run; `docs/performance.md` has what they said, and each command."""
