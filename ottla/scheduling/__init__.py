"""Holds everything that happens later: promises, timers, clocks, long work in steps. Knows no trio, socket or file."""
