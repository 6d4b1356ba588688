# A pool of processes, a pipe, shared memory and a lock between processes. Usage: processes.py ROUNDS
import multiprocessing as mp
import os
import sys
import time


def square(number):
    time.sleep(0.003)
    return number * number


def echo(pipe, shared, lock):
    while (message := pipe.recv()) is not None:
        with lock:
            shared.value += message
        pipe.send(message + 1)


if __name__ == "__main__":
    mp.set_start_method("fork")
    rounds = int(sys.argv[1])
    ours, theirs = mp.Pipe()
    shared, lock = mp.Value("q", 0), mp.Lock()
    child = mp.Process(target=echo, args=(theirs, shared, lock))
    child.start()
    with mp.Pool(3) as pool:
        for number in range(1, rounds + 1):
            ours.send(number)
            squares = pool.map(square, range(number, number + 9), chunksize=2)
            print("round", number, sum(squares), ours.recv(), shared.value, flush=True)
            time.sleep(0.03)
            if os.path.exists("enough"):
                break
        pool.close()
        pool.join()
    ours.send(None)
    child.join()
    print("end", child.exitcode, shared.value)
