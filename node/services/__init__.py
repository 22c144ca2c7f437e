"""What a region can do, one noun a file; every change goes through the one writer."""
