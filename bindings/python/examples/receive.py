"""Receives mail and says what came: receive.py [PORT]."""
import asyncio
import sys

import mailsrv


def on_message(envelope, message):
    print(envelope.reverse_path.decode(), "to", *(r.decode() for r in envelope.recipients), flush=True)
    sys.stdout.buffer.write(message)


async def main(port):
    async with mailsrv.Server(on_message=on_message) as server:
        port = await server.smtp("127.0.0.1", port, hostname="here.test")
        print(f"smtp 127.0.0.1:{port}", flush=True)
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2525))
