"""What is measured, by name; each yields rows."""
from measures import (append, big, cpu, deliver, download, fairness, growth, idle, limits, lmtp, login, pop3, recipients,
                      relay, scanning, search, select, sizes, startup, store, sync, tls)

MEASURES = {module.__name__.rpartition(".")[2]: module.run
            for module in (limits, deliver, cpu, recipients, relay, fairness, lmtp, append, login, tls, search, sync, download,
                           store, select, pop3, idle, big, growth, startup, scanning, sizes)}
