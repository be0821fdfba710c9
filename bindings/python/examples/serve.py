"""A mail server, SMTP in and POP3 out, whose mail lives as long as it: serve.py SMTP_PORT POP3_PORT USER:PASSWORD ..."""
import asyncio
import signal
import sys
import time

import mailsrv

DOMAIN = "here.test"


async def main(smtp_port, pop3_port, accounts):
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    with mailsrv.MemoryStore(epoch=int(time.time())) as store:
        for account in accounts:
            user, _, password = account.partition(":")
            store.add_account(user, password, f"{user}@{DOMAIN}")
        async with mailsrv.Server(store, grace_s=1) as server:
            smtp = await server.smtp("127.0.0.1", smtp_port, hostname=DOMAIN)
            pop3 = await server.pop3("127.0.0.1", pop3_port, hostname=DOMAIN, plain_passwords=1)  # on loopback only
            print(f"smtp 127.0.0.1:{smtp}\npop3 127.0.0.1:{pop3}", flush=True)
            await end.wait()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
