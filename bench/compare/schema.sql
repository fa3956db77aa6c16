-- The same double entry for PostgreSQL: accounts with four counters, a payment with its outcome and
-- the balances after it, refused ones recorded too. A payment's id is its idempotency key: a second
-- one with the same id breaks the primary key, which undoes the call; the client then reads the
-- outcome that is stored. So what is not sent twice pays nothing for it.
CREATE TABLE account (
    id integer PRIMARY KEY,
    overdraft_limit bigint, -- null: unlimited
    debits_posted bigint NOT NULL DEFAULT 0,
    credits_posted bigint NOT NULL DEFAULT 0,
    debits_held bigint NOT NULL DEFAULT 0,
    credits_held bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room for new versions in the same page (heap-only tuples)

CREATE TABLE payment (
    id uuid PRIMARY KEY,
    refused boolean NOT NULL,
    debit integer NOT NULL,
    credit integer NOT NULL,
    amount bigint NOT NULL,
    debit_balance bigint,
    credit_balance bigint,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One payment. True: posted; false: refused for lack of money. Accounts are locked in the order of
-- their numbers, so that no two calls wait for each other.
CREATE FUNCTION pay(p_id uuid, p_debit integer, p_credit integer, p_amount bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    debit_after bigint;
    credit_after bigint;
    posted boolean;
BEGIN
    IF p_credit < p_debit THEN
        UPDATE account SET credits_posted = credits_posted + p_amount WHERE id = p_credit
            RETURNING credits_posted - debits_posted INTO STRICT credit_after;
    END IF;
    UPDATE account SET debits_posted = debits_posted + p_amount
        WHERE id = p_debit AND (overdraft_limit IS NULL OR
            credits_posted - debits_posted - debits_held + overdraft_limit >= p_amount)
        RETURNING credits_posted - debits_posted INTO debit_after;
    posted := FOUND;
    IF p_credit < p_debit THEN
        IF NOT posted THEN
            UPDATE account SET credits_posted = credits_posted - p_amount WHERE id = p_credit;
        END IF;
    ELSIF posted THEN
        UPDATE account SET credits_posted = credits_posted + p_amount WHERE id = p_credit
            RETURNING credits_posted - debits_posted INTO STRICT credit_after;
    END IF;
    IF NOT posted THEN
        credit_after := NULL;
    END IF;
    INSERT INTO payment (id, refused, debit, credit, amount, debit_balance, credit_balance)
        VALUES (p_id, NOT posted, p_debit, p_credit, p_amount, debit_after, credit_after);
    RETURN posted;
END $$;

-- Many payments at once, in their order, by sets where no account with a limit can run short, else
-- one after the other. Returns how many were posted.
CREATE FUNCTION pay_many(p_ids uuid[], p_debits integer[], p_credits integer[], p_amounts bigint[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    posted bigint := 0;
BEGIN
    PERFORM 1 FROM account WHERE id = ANY (p_debits) OR id = ANY (p_credits)
        ORDER BY id FOR NO KEY UPDATE;
    IF EXISTS (
        SELECT 1 FROM account a JOIN (
            SELECT d.account, sum(d.amount) AS total
            FROM unnest(p_debits, p_amounts) AS d (account, amount) GROUP BY d.account
        ) AS s ON s.account = a.id
        WHERE a.overdraft_limit IS NOT NULL AND
            a.credits_posted - a.debits_posted - a.debits_held + a.overdraft_limit < s.total
    ) THEN
        FOR i IN 1 .. array_length(p_ids, 1) LOOP
            posted := posted + pay(p_ids[i], p_debits[i], p_credits[i], p_amounts[i])::integer;
        END LOOP;
        RETURN posted;
    END IF;
    WITH item AS (
        SELECT * FROM unnest(p_ids, p_debits, p_credits, p_amounts)
            WITH ORDINALITY AS t (id, debit, credit, amount, n)
    ), leg AS (
        SELECT n, debit AS account, -amount AS change FROM item
        UNION ALL
        SELECT n, credit, amount FROM item
    ), running AS (
        SELECT l.n, l.change < 0 AS is_debit,
            a.credits_posted - a.debits_posted +
            sum(l.change) OVER (PARTITION BY l.account ORDER BY l.n) AS balance
        FROM leg l JOIN account a ON a.id = l.account
    ), both_sides AS (
        SELECT n, max(balance) FILTER (WHERE is_debit) AS debit_balance,
            max(balance) FILTER (WHERE NOT is_debit) AS credit_balance
        FROM running GROUP BY n
    )
    INSERT INTO payment (id, refused, debit, credit, amount, debit_balance, credit_balance)
        SELECT i.id, false, i.debit, i.credit, i.amount, b.debit_balance, b.credit_balance
        FROM item i JOIN both_sides b USING (n);
    GET DIAGNOSTICS posted = ROW_COUNT;
    UPDATE account a
        SET debits_posted = a.debits_posted + s.debits, credits_posted = a.credits_posted + s.credits
        FROM (
            SELECT l.account, sum(l.debit) AS debits, sum(l.credit) AS credits FROM (
                SELECT t.account, t.amount AS debit, 0::bigint AS credit
                    FROM unnest(p_debits, p_amounts) AS t (account, amount)
                UNION ALL
                SELECT t.account, 0::bigint, t.amount
                    FROM unnest(p_credits, p_amounts) AS t (account, amount)
            ) AS l GROUP BY l.account
        ) AS s
        WHERE a.id = s.account;
    IF posted <> array_length(p_ids, 1) THEN
        RAISE EXCEPTION 'an account is missing';
    END IF;
    RETURN posted;
END $$;

-- A time-ordered id from two numbers of the client (layout of UUIDv7).
CREATE FUNCTION ordered_id(high bigint, low bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT encode(int8send(high) || int8send(low), 'hex')::uuid $$;
