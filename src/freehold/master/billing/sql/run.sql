-- name: due
-- The currencies, anchors and days for which contracts of a seller are due, the earliest first; none that was put aside today.
SELECT DISTINCT currency, anchor, next_day FROM billing_contract
WHERE entity_id = :entity AND next_day <= :day AND aside_on <> :day
ORDER BY next_day, currency, anchor

-- name: slice
-- The last contract of the next slice of those that are due on a day.
SELECT max(id) AS last FROM (
  SELECT id FROM billing_contract
  WHERE entity_id = :entity AND currency = :currency AND anchor = :anchor AND next_day = :until AND id >= :first
    AND aside_on <> :day
  ORDER BY id LIMIT :size
) s

-- name: lock_slice
-- Keep the contracts of a slice from changing until the transaction ends.
SELECT k.id FROM billing_contract k
WHERE k.entity_id = :entity AND k.currency = :currency AND k.anchor = :anchor AND k.next_day = :until AND k.aside_on <> :day
  AND k.id BETWEEN :first AND :last
ORDER BY k.id

-- name: draft
-- Every line that the contracts of a slice are due, each with its tax rule. A piece of a period costs what the running sum
-- adds, so that a month in pieces at one price costs what the month costs.
CREATE TEMP TABLE run_draft AS
SELECT d.*, r.id AS rule, r.rate, r.code
FROM (
  SELECT contract, CAST(0 AS bigint) AS corrects, tax_included, subscription, 'recurring' AS kind, '' AS label, offer,
         '' AS meter, 0 AS month, from_day, until_day, CAST(until_day - from_day AS bigint) AS quantity, amount AS price,
         (2 * amount * (until_day - :since) + (:until - :since)) / (2 * (:until - :since))
         - (2 * amount * (from_day - :since) + (:until - :since)) / (2 * (:until - :since)) AS amount,
         category, account, CAST(0 AS bigint) AS charge, 0 AS term, tax_class
  FROM (
    SELECT t.contract, t.tax_included, t.subscription, t.offer, t.amount, t.category, t.account, k.tax_class,
           CASE WHEN t.from_day > :since THEN t.from_day ELSE :since END AS from_day,
           CASE WHEN t.until_day < :until THEN t.until_day ELSE :until END AS until_day
    FROM billing_contract k
    JOIN billing_subscriptionprice t ON t.contract = k.id
    WHERE k.entity_id = :entity AND k.currency = :currency AND k.anchor = :anchor AND k.next_day = :until
      AND k.aside_on <> :day AND k.id BETWEEN :first AND :last AND t.from_day < :until AND t.until_day > :since AND t.until_day > t.from_day
      AND t.amount > 0
  ) t
  UNION ALL
  SELECT c.contract, CASE WHEN c.rated < c.billed THEN c.document ELSE 0 END, c.tax_included, c.subscription, 'usage', '', c.offer,
         c.meter, c.month, 0, 0, c.quantity - c.billed_quantity, 0, c.rated - c.billed, c.category, c.account, 0, c.from_day, k.tax_class
  FROM billing_contract k
  JOIN billing_consumption c ON c.contract = k.id
  WHERE k.entity_id = :entity AND k.currency = :currency AND k.anchor = :anchor AND k.next_day = :until
    AND k.aside_on <> :day AND k.id BETWEEN :first AND :last AND NOT (c.rated = c.billed) AND c.month < :month
  UNION ALL
  SELECT c.contract, 0, c.tax_included, c.subscription, c.kind, c.label, c.offer, '', c.month, c.day, c.day, 1, 0, c.amount,
         c.category, c.account, c.id, 0, k.tax_class
  FROM billing_contract k
  JOIN billing_charge c ON c.contract = k.id
  WHERE k.entity_id = :entity AND k.currency = :currency AND k.anchor = :anchor AND k.next_day = :until
    AND k.aside_on <> :day AND k.id BETWEEN :first AND :last AND c.document = 0 AND c.day < :until
) d
LEFT JOIN billing_taxrule r ON r.country = :rules AND r.tax_class = d.tax_class AND r.category = d.category
  AND r.from_day <= :day AND r.until_day > :day

-- name: unfit
-- The contracts of a slice of which no document can be made, and why: nobody else waits for them.
SELECT contract,
       max(CASE WHEN rule IS NULL THEN tax_class || ' ' || category ELSE '' END) AS untaxed,
       max(CASE WHEN size > :largest THEN 1 ELSE 0 END) AS is_too_large
FROM (
  SELECT contract, rule, tax_class, category, sum(CASE WHEN amount < 0 THEN -amount ELSE amount END) AS size
  FROM run_draft
  GROUP BY contract, corrects, tax_included, rule, tax_class, category
) s
GROUP BY contract
HAVING max(CASE WHEN rule IS NULL OR size > :largest THEN 1 ELSE 0 END) = 1
ORDER BY contract

-- name: put_aside
-- A contract is not billed now, and says why.
UPDATE billing_contract SET trouble = :trouble, aside_on = :day WHERE id = :contract

-- name: drop_aside
-- Nothing of it is drafted.
DELETE FROM run_draft WHERE contract = :contract

-- name: below_zero
-- Where what is given back is more than what is asked, it corrects the last invoice.
UPDATE run_draft
SET corrects = coalesce((SELECT max(i.id) FROM billing_document i
                         WHERE i.contract = run_draft.contract AND i.kind = 'invoice'), -1)
WHERE amount < 0 AND corrects = 0
  AND contract IN (SELECT contract FROM run_draft WHERE corrects = 0
                   GROUP BY contract, tax_included HAVING sum(amount) < 0)

-- name: beyond
-- What would give back more than the invoice that it corrects still asks for, less what other credit notes gave back.
SELECT d.contract, d.corrects, d.tax_included, CAST(-sum(d.amount) AS bigint) AS given,
       max(CASE WHEN d.tax_included THEN i.gross ELSE i.net END
           + coalesce((SELECT CAST(sum(CASE WHEN d.tax_included THEN c.gross ELSE c.net END) AS bigint)
                       FROM billing_document c WHERE c.corrects = i.id), 0)) AS asked
FROM run_draft d
JOIN billing_document i ON i.id = d.corrects
WHERE d.corrects > 0
GROUP BY d.contract, d.corrects, d.tax_included
HAVING -sum(d.amount) > max(CASE WHEN d.tax_included THEN i.gross ELSE i.net END
                            + coalesce((SELECT CAST(sum(CASE WHEN d.tax_included THEN c.gross ELSE c.net END) AS bigint)
                                        FROM billing_document c WHERE c.corrects = i.id), 0))

-- name: given_once
-- What of a correction was agreed, or is for promises not kept: it can wait, the largest first.
SELECT charge, amount FROM run_draft
WHERE contract = :contract AND corrects = :corrects AND tax_included = :tax_included AND charge <> 0 AND amount < 0
ORDER BY amount, charge

-- name: wait
-- It waits whole for an invoice that asks for as much.
DELETE FROM run_draft WHERE charge = :charge

-- name: give_part
-- A part of it is given back now.
UPDATE run_draft SET amount = amount + :later WHERE charge = :charge

-- name: split_charge
-- The rest of it waits.
INSERT INTO billing_charge (contract, subscription, kind, label, offer, month, from_day, day, amount, tax_included, category,
                            account, evidence, part, document)
SELECT contract, subscription, kind, label, offer, month, from_day, day, -CAST(:later AS bigint), tax_included, category,
       account, evidence,
       (SELECT max(o.part) + 1 FROM billing_charge o
        WHERE o.subscription = c.subscription AND o.kind = c.kind AND o.month = c.month AND o.from_day = c.from_day), 0
FROM billing_charge c WHERE c.id = :charge

-- name: lessen_charge
-- What is left of it is what is given back now.
UPDATE billing_charge SET amount = amount + :later WHERE id = :charge

-- name: drop_not_asked_for
-- What is to be given back waits while there is no invoice that it could correct.
DELETE FROM run_draft WHERE corrects = -1

-- name: tax_as_before
-- What is corrected is taxed as it was: by the rule of the invoice that it corrects (VAT directive, art. 90 and 203).
UPDATE run_draft SET rule = o.rule, rate = o.rate, code = o.code
FROM (
  SELECT t.document, r.category, t.rule, t.rate, t.code
  FROM billing_documenttax t
  JOIN billing_taxrule r ON r.id = t.rule
) o
WHERE run_draft.corrects > 0 AND o.document = run_draft.corrects AND o.category = run_draft.category

-- name: taxes
-- The tax of each document and rate, rounded once. There is a document for each contract (or invoice to correct) and way of
-- showing prices; its place is that of its number.
CREATE TEMP TABLE run_tax AS
SELECT contract, corrects, tax_included, place, rule, rate, code, total,
       CASE WHEN tax_included THEN (2 * total * rate + sign * (10000 + rate)) / (2 * (10000 + rate))
            ELSE (2 * total * rate + sign * 10000) / 20000 END AS tax
FROM (
  SELECT contract, corrects, tax_included, rule, rate, code, CAST(sum(amount) AS bigint) AS total,
         CASE WHEN sum(amount) < 0 THEN -1 ELSE 1 END AS sign,
         CAST(dense_rank() OVER (ORDER BY CASE WHEN corrects = 0 THEN 0 ELSE 1 END, contract, corrects, tax_included) AS bigint)
           AS place
  FROM run_draft
  GROUP BY contract, corrects, tax_included, rule, rate, code
) s

-- name: count
-- How many documents there are, by kind.
SELECT CASE WHEN corrects = 0 THEN 'invoice' ELSE 'credit_note' END AS kind, count(DISTINCT place) AS documents
FROM run_tax GROUP BY CASE WHEN corrects = 0 THEN 'invoice' ELSE 'credit_note' END

-- name: bills
-- The documents, and what each comes to, in its currency and in the seller's.
CREATE TEMP TABLE run_bill AS
SELECT place, contract, k.customer_id AS customer, corrects, tax_included,
       CASE WHEN corrects = 0 THEN 'invoice' ELSE 'credit_note' END AS kind, net, tax, net + tax AS gross,
       CASE WHEN :is_own = 1 THEN net + tax ELSE money_share(net + tax, :numerator, :denominator) END AS functional,
       CASE WHEN :is_own = 1 THEN tax ELSE money_share(tax, :numerator, :denominator) END AS functional_tax
FROM (
  SELECT place, contract, corrects, tax_included,
         CAST(sum(CASE WHEN tax_included THEN total - tax ELSE total END) AS bigint) AS net, CAST(sum(tax) AS bigint) AS tax
  FROM run_tax GROUP BY place, contract, corrects, tax_included
) s
JOIN billing_contract k ON k.id = s.contract AND k.id BETWEEN :first AND :last

-- name: index_bills
-- So that each document is found at once.
CREATE INDEX run_bill_place ON run_bill (place)

-- name: add_documents
-- The documents.
INSERT INTO billing_document
  (id, run, contract, entity, customer, kind, year, number, day, due_day, from_day, until_day, currency, tax_included,
   net, tax, gross, functional, functional_tax, corrects)
SELECT :document + b.place, :run, b.contract, :entity, b.customer, b.kind, :year,
       b.place + CASE WHEN b.kind = 'invoice' THEN :invoice ELSE :credit_note END,
       :day, :day + :payment_days, :since, :until, :currency, b.tax_included, b.net, b.tax, b.gross, b.functional,
       b.functional_tax, b.corrects
FROM run_bill b

-- name: add_lines
-- Their lines, with what of each is not tax: each by its own rate; what rounding leaves of a rate is the largest line's.
INSERT INTO billing_documentline
  (document, position, subscription, kind, label, offer, meter, month, from_day, until_day, quantity, price, amount, net,
   category, rate, account)
SELECT :document + place, position, subscription, kind, label, offer, meter, month, from_day, until_day, quantity, price,
       amount,
       CASE WHEN NOT tax_included THEN amount
            WHEN rank = 1 THEN total - tax - (sum(own) OVER (PARTITION BY place, rule) - own)
            ELSE own END,
       category, rate, account
FROM (
  SELECT t.place, d.subscription, d.kind, d.label, d.offer, d.meter, d.month, d.from_day, d.until_day, d.quantity, d.price,
         d.amount, d.category, d.rate, d.account, d.tax_included, d.rule, t.total, t.tax,
         CAST(d.amount - (2 * d.amount * d.rate + CASE WHEN d.amount < 0 THEN -1 ELSE 1 END * (10000 + d.rate))
                         / (2 * (10000 + d.rate)) AS bigint) AS own,
         CAST(row_number() OVER w AS integer) AS position,
         row_number() OVER (PARTITION BY t.place, d.rule
                            ORDER BY CASE WHEN d.amount < 0 THEN -d.amount ELSE d.amount END DESC, d.kind, d.subscription,
                                     d.meter, d.month, d.from_day, d.term, d.charge) AS rank
  FROM run_draft d
  JOIN run_tax t ON t.contract = d.contract AND t.corrects = d.corrects AND t.tax_included = d.tax_included AND t.rule = d.rule
  WINDOW w AS (PARTITION BY t.place ORDER BY d.rule, d.kind, d.subscription, d.meter, d.month, d.from_day, d.term, d.charge
               ROWS UNBOUNDED PRECEDING)
) s

-- name: add_taxes
-- Their taxes.
INSERT INTO billing_documenttax (document, rule, rate, code, base, tax)
SELECT :document + place, rule, rate, code, CASE WHEN tax_included THEN total - tax ELSE total END, tax
FROM run_tax

-- name: add_entries
-- An entry for each of them.
INSERT INTO accounting_entry (id, batch, entity, year, number, day, journal, label, source, purpose, currency)
SELECT :entry + place, :batch, :entity, :year, :entry_number + place, :day, 'sales',
       CASE WHEN kind = 'invoice' THEN :invoice_label ELSE :credit_note_label END
       || CASE WHEN number < 1000000 THEN substr(CAST(1000000 + number AS text), 2) ELSE CAST(number AS text) END,
       'document:' || (:document + place), 'issue', :currency
FROM (SELECT place, kind, place + CASE WHEN kind = 'invoice' THEN :invoice ELSE :credit_note END AS number FROM run_bill) b

-- name: add_receivables
-- What customers owe.
INSERT INTO accounting_posting (entry, position, account, party, amount, functional)
SELECT :entry + place, 0, :receivable, customer, gross, functional
FROM run_bill

-- name: add_revenue
-- What was earned, by account; in the seller's currency each by the rate; what rounding leaves is the largest's.
INSERT INTO accounting_posting (entry, position, account, party, amount, functional)
SELECT :entry + s.place, s.position, s.account, '', -s.net,
       CASE WHEN :is_own = 1 THEN -s.net
            WHEN rank = 1 THEN s.others - s.own - (t.functional - t.functional_tax)
            ELSE -s.own END
FROM (
  SELECT place, account, net, own, position, rank, sum(own) OVER (PARTITION BY place) AS others
  FROM (
  SELECT place, account, net, CASE WHEN :is_own = 1 THEN net ELSE money_share(net, :numerator, :denominator) END AS own,
         CAST(row_number() OVER w AS integer) AS position,
         row_number() OVER (PARTITION BY place ORDER BY CASE WHEN net < 0 THEN -net ELSE net END DESC, account) AS rank
  FROM (SELECT document - :document AS place, account, CAST(sum(net) AS bigint) AS net FROM billing_documentline
        WHERE document > :document GROUP BY document, account) g
  WINDOW w AS (PARTITION BY place ORDER BY account ROWS UNBOUNDED PRECEDING)
  ) a
) s
JOIN run_bill t ON t.place = s.place

-- name: add_tax_postings
-- What is owed to the tax office.
INSERT INTO accounting_posting (entry, position, account, party, amount, functional)
SELECT :entry + place, 1000, :tax_account, '', -tax, -functional_tax
FROM run_bill
WHERE tax <> 0 OR functional_tax <> 0

-- name: billed_consumption
-- What was used is invoiced.
UPDATE billing_consumption AS c
SET billed = c.rated, billed_quantity = c.quantity,
    document = CASE WHEN d.corrects = 0 THEN :document + b.place ELSE c.document END
FROM run_draft d
JOIN run_bill b ON b.contract = d.contract AND b.corrects = d.corrects AND b.tax_included = d.tax_included
WHERE d.kind = 'usage' AND c.subscription = d.subscription AND c.meter = d.meter AND c.month = d.month
  AND c.from_day = d.term

-- name: billed_charges
-- What was asked or given back once is in a document.
UPDATE billing_charge AS c SET document = :document + b.place
FROM run_draft d
JOIN run_bill b ON b.contract = d.contract AND b.corrects = d.corrects AND b.tax_included = d.tax_included
WHERE d.charge <> 0 AND c.id = d.charge

-- name: next_period
-- The contracts of the slice begin another period.
UPDATE billing_contract SET next_day = :next, trouble = ''
WHERE entity_id = :entity AND currency = :currency AND anchor = :anchor AND next_day = :until AND id BETWEEN :first AND :last
  AND aside_on <> :day

-- name: forget_draft
-- The slice is done.
DROP TABLE run_draft

-- name: forget_bill
-- The slice is done.
DROP TABLE run_bill

-- name: forget_tax
-- The slice is done.
DROP TABLE run_tax
