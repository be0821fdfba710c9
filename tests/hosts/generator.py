"""Many messages over many connections at once, each with a mark of its own; pipelined, as large senders do."""
import asyncio
import random
import re

import clients

MARK = re.compile(rb"^X-Mark: (\S+)\r$", re.M)


def message(mark: str, rng: random.Random) -> bytes:
    lines = [f"From: sender@remote.test", "To: pat@here.test", f"Subject: message {mark}", f"X-Mark: {mark}", ""]
    for _ in range(rng.randrange(1, 30)):
        lines.append(rng.choice(["", ".", "..", ".dot", "text "]) + "x" * rng.randrange(0, 70))
    return "".join(line + "\r\n" for line in lines).encode()


async def reply(reader: asyncio.StreamReader) -> int:
    while True:
        line = await reader.readline()
        if len(line) < 4:
            raise ConnectionError(f"no reply: {line!r}")
        if line[3:4] == b" ":
            return int(line[:3])


async def expect(reader: asyncio.StreamReader, code: int) -> None:
    got = await reply(reader)
    if got != code:
        raise ConnectionError(f"{got} where {code} was expected")


async def connection(port: int, to: str, messages: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await expect(reader, 220)
    writer.write(b"EHLO generator.remote.test\r\n")
    await expect(reader, 250)
    for text in messages:
        writer.write(f"MAIL FROM:<sender@remote.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
        for code in (250, 250, 354):
            await expect(reader, code)
        writer.write(clients.stuffed(text) + b".\r\n")
        await writer.drain()
        await expect(reader, 250)
    writer.write(b"QUIT\r\n")
    await expect(reader, 221)
    writer.close()
    await writer.wait_closed()


async def all_of_them(port: int, to: str, shares: list[list[bytes]]) -> None:
    await asyncio.gather(*(connection(port, to, share) for share in shares))


def send(port: int, to: str, messages: int, connections: int, seed: int) -> dict[str, bytes]:
    """Sends them all and returns them by their marks; each was acknowledged."""
    rng = random.Random(seed)
    sent = {mark: message(mark, rng) for mark in (f"{seed:x}-{i}" for i in range(messages))}
    texts = list(sent.values())
    asyncio.run(all_of_them(port, to, [texts[c::connections] for c in range(connections)]))
    return sent


def mark_of(text: bytes) -> str:
    found = MARK.findall(text)
    return found[0].decode() if len(found) == 1 else f"{len(found)} marks"
