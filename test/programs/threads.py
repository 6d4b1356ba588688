# Threads that pass work around through queues, locks and events. Usage: threads.py ROUNDS
import os
import queue
import sys
import threading
import time

rounds = int(sys.argv[1])
jobs, done, lock, total = queue.Queue(maxsize=3), queue.Queue(), threading.Lock(), [0]


def work():
    while (job := jobs.get()) is not None:
        with lock:
            total[0] += job
            time.sleep(0.002)
        done.put(job * job)


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for number in range(1, rounds + 1):
    for job in range(8):
        jobs.put(number * 8 + job)
    squares = sum(done.get() for _ in range(8))
    print("round", number, squares, total[0], flush=True)
    time.sleep(0.03)
    if os.path.exists("enough"):
        break
for _ in threads:
    jobs.put(None)
for thread in threads:
    thread.join()
print("end", total[0])
