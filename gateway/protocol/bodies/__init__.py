"""Between values and the bodies of agreements, attestations and what else two regions deal with: one noun a file."""
