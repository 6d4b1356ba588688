"""Compresses made-up data piece by piece, as xz does, and prints what came out: compress.py PIECES GATE. Half-way it waits for the file GATE."""
import hashlib
import lzma
import os
import random
import sys
import time

pieces = int(sys.argv[1])
random.seed(7)
compressor = lzma.LZMACompressor(preset=1)
digest = hashlib.sha256()
for piece in range(pieces):
    words = " ".join(random.choice(["checkpoint", "restart", "scope", "vacate"]) for _ in range(4000))
    digest.update(compressor.compress(words.encode()))
    print("piece", piece, flush=True)
    while piece == pieces // 2 and not os.path.exists(sys.argv[2]):
        time.sleep(0.1)
digest.update(compressor.flush())
print(digest.hexdigest())
