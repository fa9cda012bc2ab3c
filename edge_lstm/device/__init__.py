"""Devices: the link to a firmware, boards, firmware projects, emulators."""
