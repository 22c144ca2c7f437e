"""Tests, named after faults and effects; they mirror the packages they test."""
