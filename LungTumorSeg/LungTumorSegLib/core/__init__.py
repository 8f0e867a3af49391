"""What every room uses: volumes and their geometry, errors, events, names and colors. Needs numpy only, a few modules scipy or vtk."""
