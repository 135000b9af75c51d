//! Writing a run to its folder, in stages and atomically, with `reports/latest` pointing at it.
