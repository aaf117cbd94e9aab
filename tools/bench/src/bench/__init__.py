"""Benchmarks, each beside its bare ceiling in one run. Speeds are ratios: machines differ, and are noisy."""
