-- What the procedures must do, in a transaction that leaves nothing.
BEGIN;
INSERT INTO account (id, overdraft_limit) VALUES (1, NULL), (2, 0), (3, 0);
DO $$
DECLARE
    ids uuid[] := ARRAY(SELECT ordered_id(28672, n) FROM generate_series(1, 20) AS n);
    doubled boolean := false;
BEGIN
    ASSERT pay(ids[1], 1, 2, 100), 'an account without a limit pays';
    ASSERT NOT pay(ids[2], 2, 3, 101), 'nobody pays more than there is';
    ASSERT NOT pay(ids[3], 3, 1, 1), 'a refusal undoes what it had added';
    ASSERT pay(ids[4], 2, 1, 40), 'what is there can be paid';
    BEGIN
        PERFORM pay(ids[1], 1, 2, 100);
    EXCEPTION WHEN unique_violation THEN
        doubled := true;
    END;
    ASSERT doubled, 'an id is taken once';
    ASSERT (SELECT refused FROM payment WHERE id = ids[2]), 'a refusal is recorded';
    ASSERT (SELECT (debit_balance, credit_balance) = (-100, 100) FROM payment WHERE id = ids[1]),
        'balances after are recorded';
    ASSERT pay_many(ids[5:7], '{1,2,1}', '{2,3,3}', '{10,5,7}') = 3, 'many are posted by sets';
    ASSERT (SELECT (debit_balance, credit_balance) = (65, 5) FROM payment WHERE id = ids[6]),
        'balances run on within many';
    ASSERT pay_many(ids[8:9], '{2,2}', '{1,1}', '{60,60}') = 1, 'the second of two is refused';
    ASSERT (SELECT array_agg(credits_posted - debits_posted ORDER BY id) FROM account)
        = '{-17,5,12}'::bigint[], 'balances are the sums of all';
    ASSERT (SELECT sum(debits_posted) = sum(credits_posted) FROM account), 'the book balances';
END $$;
ROLLBACK;
