"""The order of checks, pairwise: where two faults meet, the earlier check answers."""
import itertools

from book import Book, fresh
from client import RpcError, leg, payment
from harness import case

LIMIT = 2 ** 126


class Faults:
    """One fault for each check of the ledger, in the documented order. A fault is a leg or a field
    of the payment, so that any two fit into one payment."""

    ORDER = ("account_not_found", "currency_mismatch", "same_account", "reference_conflict",
             "payment_expired", "overflow", "insufficient_funds")

    @classmethod
    async def make(cls, client):
        self = cls()
        book, other = await Book.make(client), await Book.make(client)
        full = await Book.make(client)  # its totals stand one below the limit
        self.good = leg(book.bank, await book.customer(client), 1)
        poor = await book.customer(client)
        foreign = await other.customer(client)
        brim = await full.customer(client)
        await client.call("payment.create", payment(full.bank, brim, LIMIT - 1))
        self.reference = fresh("taken-")
        await client.call("payment.create",
                          payment(self.good["debit"], self.good["credit"], 1,
                                  reference=self.reference))
        self.legs = {
            "account_not_found": leg(book.bank, fresh("none-"), 1),
            "currency_mismatch": leg(book.bank, foreign, 1),
            "same_account": leg(self.good["credit"], self.good["credit"], 1),
            "overflow": leg(full.bank, brim, 1),
            "insufficient_funds": leg(poor, book.bank, 1),
        }
        self.fields = {
            "reference_conflict": {"reference": self.reference},
            "payment_expired": {"valid_until": "2020-01-01T00:00:00Z"},
        }
        return self

    def payment(self, codes):
        # Later faults first: the order of legs must not matter.
        legs = [self.legs[code] for code in reversed(self.ORDER)
                if code in codes and code in self.legs]
        params = payment("x", "y", 1)
        result = {"id": params["id"], "legs": [self.good, *legs]}
        for code in codes:
            result.update(self.fields.get(code, {}))
        return result


@case()
async def each_fault_alone(run):
    client = await run.client(await run.common(), 1)
    faults = await Faults.make(client)
    for code in Faults.ORDER:
        await client.refused("payment.create", faults.payment([code]), code, recorded=True)


@case()
async def the_earlier_check_answers(run):
    client = await run.client(await run.common(), 1)
    faults = await Faults.make(client)
    for first, second in itertools.combinations(Faults.ORDER, 2):
        error = await client.refused("payment.create", faults.payment([first, second]))
        assert error.code == first, f"{first} and {second}: {error}"
    await client.refused("payment.create", faults.payment(Faults.ORDER), Faults.ORDER[0])


@case()
async def an_id_seen_before_comes_first(run):
    client = await run.client(await run.common(), 1)
    faults = await Faults.make(client)
    used = payment(faults.good["debit"], faults.good["credit"], 1)
    await client.call("payment.create", used)
    for code in Faults.ORDER:
        again = {**faults.payment([code]), "id": used["id"]}
        await client.refused("payment.create", again, "idempotency_mismatch", recorded=False)


@case()
async def the_form_comes_before_the_ledger(run):
    """What is refused for its form is not recorded, whatever else is wrong with it."""
    client = await run.client(await run.common(), 1)
    faults = await Faults.make(client)
    for code in Faults.ORDER:
        params = faults.payment([code])
        params["legs"][0] = {**params["legs"][0], "amount": "0"}
        await client.refused("payment.create", params, "amount_zero", recorded=False)
        await client.refused("payment.get", {"id": params["id"]}, "not_found")


@case()
async def json_then_envelope_then_method_then_fields(run):
    client = await run.client(await run.common(), 1)
    for text, number in (
            ('{"jsonrpc":"1.0","id":1.5,"method":"no.such","params":{"a":1,"a":2}}', -32700),
            ('{"jsonrpc":"1.0","id":1,"method":"no.such","params":{"a":1}}', -32600),
            ('{"jsonrpc":"2.0","id":"o","method":"no.such","params":{"a":1}}', -32601),
            ('{"jsonrpc":"2.0","id":"o","method":"account.get","params":{"a":1}}', -32602)):
        before = len(client.strays)
        await client.socket.send(text)
        error = RpcError((await client.stray(before))["error"])
        assert error.number == number, f"{text}: {error}"
