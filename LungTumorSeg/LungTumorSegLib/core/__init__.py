"""Provide what every room uses: volumes and their geometry, errors, progress events, names and colors.

Most modules need numpy only; a few also need scipy or vtk.
"""
