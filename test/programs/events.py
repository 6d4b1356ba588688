# An event loop with timers, a server and its clients, an executor's threads and a child process. Usage: events.py ROUNDS
import asyncio
import os
import sys
import time

servers = []


async def serve(reader, writer):
    servers.append(asyncio.current_task())
    while line := await reader.readline():
        await asyncio.sleep(0.002)
        writer.write(b"%d\n" % (int(line) * 2))
    writer.close()


async def call(connection, number):
    reader, writer = connection
    writer.write(b"%d\n" % number)
    return int(await reader.readline())


async def main(rounds):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
    loop = asyncio.get_running_loop()
    for number in range(1, rounds + 1):
        child.stdin.write(b"line %d\n" % number)
        answers = await asyncio.gather(
            *(call(connection, number + place) for place, connection in enumerate(connections)),
            loop.run_in_executor(None, time.sleep, 0.01),
            asyncio.wait_for(asyncio.sleep(0.02, number), 30),
        )
        print("round", answers, (await child.stdout.readline()).decode().strip(), flush=True)
        if os.path.exists("enough"):
            break
    child.stdin.close()
    print("end", await child.wait())
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*servers)
    server.close()


asyncio.run(main(int(sys.argv[1])))
