"""A job for the second act: prints one line a step, from numpy (with its threads) when there is one and from plain Python otherwise."""

import hashlib
import sys
import threading

STEPS = int(sys.argv[1])

try:
    import numpy
except ImportError:
    numpy = None


class Background(threading.Thread):
    """Counts with the main thread's steps: a restart that lost a thread or a lock would never finish."""

    def __init__(self):
        super().__init__(daemon=True)
        self.requests = threading.Semaphore(0)
        self.answers = threading.Semaphore(0)
        self.count = 0

    def run(self):
        while True:
            self.requests.acquire()
            self.count += 1
            self.answers.release()


def main():
    background = Background()
    background.start()
    digest = hashlib.sha256()
    if numpy is not None:
        state = numpy.arange(400 * 400, dtype=numpy.float64).reshape(400, 400) % 17
    print("numpy", numpy is not None, flush=True)
    for step in range(STEPS):
        for _ in range(3):
            if numpy is not None:
                state = (state @ state.T) % 251
                digest.update(state.tobytes())
            else:
                digest.update(bytes(i * i % 251 for i in range(100000)))
        background.requests.release()
        background.answers.acquire()
        print(step, background.count, digest.hexdigest()[:16], flush=True)


main()
