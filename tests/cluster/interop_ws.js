// Node's ws against a cluster: argv are the URL and the CA file (empty for ws://). Prints "ok".
'use strict';
const fs = require('fs');
const { randomUUID } = require('crypto');
const WebSocket = require('ws');

const [url, ca] = process.argv.slice(2);
const options = ca ? { ca: fs.readFileSync(ca) } : {};
const socket = new WebSocket(url, ['payledger.v1'], options);
const waiting = new Map();
let next = 1;

function call(method, params) {
    const id = next++;
    return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
}

async function pay() {
    const suffix = randomUUID().slice(0, 8);
    const code = 'N' + suffix.toUpperCase();
    const [bank, alice] = ['bank-' + suffix, 'alice-' + suffix];
    await call('currency.create', { code, scale: 2 });
    await call('account.open', { id: bank, currency: code, overdraft: 'unlimited' });
    await call('account.open', { id: alice, currency: code });
    // Pipelined: all at once, answers in any order.
    const many = Array.from({ length: 200 }, () => call('payment.create',
        { id: randomUUID(), debit: bank, credit: alice, amount: '1' }));
    const results = await Promise.all(many);
    if (!results.every((result) => result.status === 'posted')) throw new Error('not posted');
    const state = await call('account.get', { id: alice });
    if (state.posted !== '200') throw new Error('posted ' + state.posted);
    if (socket.protocol !== 'payledger.v1') throw new Error('protocol ' + socket.protocol);
}

socket.on('open', () => pay().then(() => {
    socket.on('close', (code) => {
        console.log(code === 1000 ? 'ok' : 'closed with ' + code);
        process.exit(code === 1000 ? 0 : 1);
    });
    socket.close(1000);
}).catch((error) => {
    console.log(String(error));
    process.exit(1);
}));
socket.on('message', (text) => {
    const reply = JSON.parse(text);
    const { resolve, reject } = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.error) reject(new Error(JSON.stringify(reply.error))); else resolve(reply.result);
});
socket.on('error', (error) => {
    console.log(String(error));
    process.exit(1);
});
