"""Compresses made-up data piece by piece, as xz does, and prints what came out: compress.py PIECES."""
import hashlib
import lzma
import random
import sys
import time

random.seed(7)
compressor = lzma.LZMACompressor(preset=1)
digest = hashlib.sha256()
for piece in range(int(sys.argv[1])):
    words = " ".join(random.choice(["checkpoint", "restart", "scope", "vacate"]) for _ in range(4000))
    digest.update(compressor.compress(words.encode()))
    print("piece", piece, flush=True)
    time.sleep(0.05)
digest.update(compressor.flush())
print(digest.hexdigest())
