"""The loop and its phases: pure, stdlib and numpy, knows nothing of meshes."""
