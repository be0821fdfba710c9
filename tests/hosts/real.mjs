// nodemailer and imapflow: one sends by STARTTLS and by TLS at once, the other one is in IDLE and sees it come.
import { setDefaultResultOrder } from 'node:dns';
import { createRequire } from 'node:module';

const { modules, ports, password, ca } = JSON.parse(process.argv[2]);
setDefaultResultOrder('ipv4first'); // where the server listens: Node.js 18 tries the first address alone
const require = createRequire(modules + '/');
const nodemailer = require('nodemailer');
const { ImapFlow } = require('imapflow');

const reader = new ImapFlow({
    host: 'localhost', port: ports.imaps, secure: true, tls: { ca }, auth: { user: 'pat', pass: password }, logger: false,
});
await reader.connect();
const lock = await reader.getMailboxLock('INBOX');
const seen = new Promise((resolve) => reader.on('exists', (event) => resolve(event.count)));
reader.idle();

for (const [port, secure] of [[ports.submission, false], [ports.submissions, true]]) {
    const sender = nodemailer.createTransport({
        host: 'localhost', port, secure, requireTLS: true, tls: { ca }, auth: { user: 'kim', pass: password },
    });
    const info = await sender.sendMail({
        from: 'Kim <kim@here.test>', to: 'pat@here.test', subject: 'by nodemailer', text: 'Hello ä\n.\n',
        attachments: [{ filename: 'größe.txt', content: 'attached' }],
    });
    console.log('nodemailer sent', info.response);
    if (!secure)
        console.log('imapflow saw', await seen);
}
const message = await reader.fetchOne('1', { envelope: true, bodyStructure: true, source: true });
const names = message.bodyStructure.childNodes.map((part) => part.dispositionParameters?.filename).filter(Boolean);
console.log('imapflow read', message.envelope.subject, names.join());
const found = await reader.search({ subject: 'BY nodemailer', body: 'hello Ä' });
const none = await reader.search({ from: 'kim', or: [{ to: 'nobody' }, { body: 'absent' }] });
console.log(`imapflow found ${found[0]}, ${none.length === 0 ? 'none' : none}`);
lock.release();
await reader.logout();
