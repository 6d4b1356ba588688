# Matrices, with the threads of numpy's library of linear algebra. Usage: matrices.py ROUNDS
import hashlib
import os
import sys
import time

import numpy

rounds = int(sys.argv[1])
random, state = numpy.random.RandomState(7), numpy.eye(96)
digest = hashlib.sha256()
for number in range(1, rounds + 1):
    state = numpy.linalg.qr(state @ random.rand(96, 96))[0]
    digest.update(numpy.round(numpy.abs(state), 6).tobytes())
    print("round", number, digest.hexdigest()[:16], flush=True)
    time.sleep(0.03)
    if os.path.exists("enough"):
        break
print("end", round(float(numpy.abs(state).sum()), 6))
