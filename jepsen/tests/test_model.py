"""The model against sentences of docs/protocol.md."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from jepsen.model import AMOUNT_LIMIT, Ledger, payment_fields, time_ns  # noqa: E402


class Model(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()
        for code in ("EUR", "USD"):
            self.ledger.create_currency(code, 2)
        for identity, currency, more in (
                ("cash", "EUR", {"normal": "debit"}), ("alice", "EUR", {}),
                ("shop", "EUR", {"overdraft": "5000"}),
                ("bank", "EUR", {"overdraft": "unlimited"}),
                ("bank:usd", "USD", {"overdraft": "unlimited"})):
            self.ledger.open_account({"id": identity, "currency": currency, **more})

    def pay(self, identity, debit, credit, amount, now=None, **more):
        params = {"debit": debit, "credit": credit, "amount": str(amount), **more}
        return self.ledger.create_payment(identity, payment_fields(params), now)

    def test_the_documents_own_example(self):
        first = self.pay("1", "cash", "alice", 10000, currency="EUR")
        self.assertEqual((first.code, first.payment.seq), ("posted", 8))
        self.assertEqual(first.payment.balances, {"cash": (10000, 10000), "alice": (10000, 10000)})
        again = self.ledger.create_payment("1", payment_fields(
            {"legs": [{"debit": "cash", "credit": "alice", "amount": "10000"}]}))
        self.assertTrue(again.replayed)
        self.assertEqual(self.pay("1", "cash", "alice", 10001).code, "idempotency_mismatch")
        self.assertEqual(self.pay("2", "alice", "shop", 10001).code, "insufficient_funds")
        two = self.ledger.create_payment("4", payment_fields({"legs": [
            {"debit": "alice", "credit": "shop", "amount": "1999"},
            {"debit": "alice", "credit": "shop", "amount": "1", "currency": "EUR"}],
            "reference": "invoice 7"}))
        self.assertEqual(two.payment.balances, {"alice": (8000, 8000), "shop": (2000, 7000)})
        self.assertEqual(two.payment.rows, ((8001, 1999, 2, 1), (8000, 2000, 3, 2)))
        self.assertEqual(self.ledger.seq, 10)

    def test_what_takes_no_seq(self):
        self.pay("1", "bank", "alice", 5)
        before = self.ledger.seq
        self.assertTrue(self.ledger.create_currency("EUR", 2).replayed)
        self.assertEqual(self.ledger.create_currency("EUR", 3).code, "already_exists")
        self.assertTrue(self.ledger.open_account({"id": "alice", "currency": "EUR"}).replayed)
        self.assertEqual(self.ledger.open_account(
            {"id": "alice", "currency": "EUR", "overdraft": "1"}).code, "already_exists")
        self.assertEqual(self.ledger.open_account(
            {"id": "new", "currency": "XXX"}).code, "currency_not_found")
        self.pay("1", "bank", "alice", 5)
        self.pay("1", "bank", "alice", 6)
        self.assertEqual(self.ledger.seq, before)
        self.pay("2", "alice", "nobody", 5)
        self.assertEqual(self.ledger.seq, before + 1)

    def test_the_order_of_checks(self):
        late = {"valid_until": "2026-11-23T10:00:00Z"}
        now = time_ns("2026-11-23T10:00:00.000000000Z")
        self.pay("r", "bank", "alice", 1, reference="used")
        self.assertEqual(self.pay("1", "nobody", "nobody", 1, now, currency="USD", **late).code,
                         "account_not_found")
        self.assertEqual(self.pay("2", "alice", "bank:usd", 10**9, now, **late).code,
                         "currency_mismatch")
        self.assertEqual(self.pay("3", "alice", "alice", 1, now, currency="USD", **late).code,
                         "currency_mismatch")
        self.assertEqual(self.pay("4", "alice", "alice", 1, now, reference="used", **late).code,
                         "same_account")
        self.assertEqual(self.pay("5", "alice", "shop", 9**9, now, reference="used", **late).code,
                         "reference_conflict")
        self.assertEqual(self.pay("6", "alice", "shop", AMOUNT_LIMIT - 1, now, **late).code,
                         "payment_expired")
        self.assertEqual(self.pay("7", "alice", "shop", AMOUNT_LIMIT - 1, now - 1, **late).code,
                         "overflow")
        self.assertEqual(self.pay("8", "alice", "shop", 100, now - 1, **late).code,
                         "insufficient_funds")

    def test_limits_bind_the_final_state_of_accounts_that_fall(self):
        legs = [{"debit": "alice", "credit": "shop", "amount": "70"},
                {"debit": "bank", "credit": "alice", "amount": "70"}]
        outcome = self.ledger.create_payment("1", payment_fields({"legs": legs}))
        self.assertEqual(outcome.code, "posted")
        self.assertEqual(self.pay("2", "shop", "alice", 5071).code, "insufficient_funds")
        self.assertEqual(self.pay("3", "shop", "alice", 5070).code, "posted")

    def test_an_atomic_batch_is_all_or_none(self):
        fields = [payment_fields({"debit": d, "credit": c, "amount": a}) for d, c, a in (
            ("bank", "alice", "10"), ("alice", "shop", "10"), ("alice", "shop", "1"))]
        totals, seq = dict(self.ledger.totals), self.ledger.seq
        refused = self.ledger.atomic(list(zip("abc", fields)))
        self.assertEqual([o.code for o in refused],
                         ["batch_aborted", "batch_aborted", "insufficient_funds"])
        self.assertEqual(self.ledger.totals, totals)
        self.assertEqual(self.ledger.accounts["alice"].entries, 0)
        self.assertEqual(self.ledger.seq, seq + 3)
        posted = self.ledger.atomic(list(zip("de", fields)))
        self.assertEqual([o.code for o in posted], ["posted", "posted"])
        mixed = self.ledger.atomic([("d", fields[0]), ("f", fields[0])])
        self.assertEqual([(o.code, o.replayed) for o in mixed],
                         [("posted", True), ("posted", False)])
        spoiled = self.ledger.atomic([("g", fields[0]), ("a", fields[0])])
        self.assertEqual([(o.code, o.replayed) for o in spoiled],
                         [("batch_aborted", False), ("batch_aborted", True)])

    def test_times(self):
        self.assertEqual(time_ns("1970-01-01T00:00:00Z"), 0)
        self.assertEqual(time_ns("2000-03-01T00:00:00.5Z"), 951868800_500000000)
        self.assertEqual(time_ns("2261-12-31T23:59:59.999999999Z"), 9214646399_999999999)


if __name__ == "__main__":
    unittest.main()
