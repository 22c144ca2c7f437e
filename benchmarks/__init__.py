"""How fast regions move points, beside two yardsticks that share no code with them.

`floor` is the same traffic with no business rules: what this machine allows. `ordinary` is one call, one signature
and one ORM transaction per transfer: what the work costs when nothing is batched.
"""
