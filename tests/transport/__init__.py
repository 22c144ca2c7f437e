"""The transport over real gRPC on loopback: no doubles but the regions, which are honest and small."""
