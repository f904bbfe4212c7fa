-- name: add_series
-- Begin a series of numbers.
INSERT INTO accounting_series (entity, kind, year, last) VALUES (:entity, :kind, :year, 0)
ON CONFLICT (entity, kind, year) DO NOTHING

-- name: take_series
-- Give the next numbers of a series.
UPDATE accounting_series SET last = last + :count WHERE entity = :entity AND kind = :kind AND year = :year
RETURNING last

-- name: last_digest
-- The last link of an entity's chain.
SELECT digest FROM accounting_batch WHERE entity = :entity ORDER BY id DESC LIMIT 1

-- name: open_batch
-- Begin a batch.
INSERT INTO accounting_batch (entity, at, what, first, last, previous, digest)
VALUES (:entity, :at, :what, :first, :last, :previous, '')
RETURNING id

-- name: seal
-- Finish a batch: the database checks it now and keeps it from now on.
UPDATE accounting_batch SET digest = :digest WHERE id = :batch

-- name: lines
-- Everything that a batch says, a line a posting; the first of an entry says what the entry is.
SELECT CASE
         WHEN p.position > 0 THEN format('%s|%s|%s|%s|%s', p.position, p.account, p.party, p.amount, p.functional)
         ELSE format('%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s',
                     e.id, e.entity, e.year, e.number, e.day, e.journal, e.label, e.source, e.purpose, e.currency,
                     p.position, p.account, p.party, p.amount, p.functional)
       END AS line
FROM accounting_entry e
JOIN accounting_posting p ON p.entry = e.id AND p.entry BETWEEN :first AND :last
WHERE e.id BETWEEN :first AND :last
ORDER BY e.id, p.position

-- name: add_entry
-- Record an entry.
INSERT INTO accounting_entry (id, batch, entity, year, number, day, journal, label, source, purpose, currency)
VALUES (:id, :batch, :entity, :year, :number, :day, :journal, :label, :source, :purpose, :currency)

-- name: add_posting
-- Record one of its postings.
INSERT INTO accounting_posting (entry, position, account, party, amount, functional)
VALUES (:entry, :position, :account, :party, :amount, :functional)

-- name: trial_balance
-- What each account of an entity holds at the end of a day, in the entity's currency: movements of a time and the whole.
SELECT a.code, a.name, a.kind,
       CAST(coalesce(sum(CASE WHEN e.day < :since THEN p.functional END), 0) AS bigint) AS opening,
       CAST(coalesce(sum(CASE WHEN e.day >= :since AND p.functional > 0 THEN p.functional END), 0) AS bigint) AS debit,
       CAST(coalesce(sum(CASE WHEN e.day >= :since AND p.functional < 0 THEN -p.functional END), 0) AS bigint) AS credit
FROM accounting_account a
LEFT JOIN (accounting_posting p JOIN accounting_entry e ON e.id = p.entry)
  ON e.entity = a.entity_id AND p.account = a.code AND e.day <= :until
WHERE a.entity_id = :entity
GROUP BY a.code, a.name, a.kind
ORDER BY a.code

-- name: journal
-- The postings of an entity in a time, entry by entry.
SELECT e.id, e.year, e.number, e.day, e.journal, e.label, e.source, e.currency, p.position, p.account, a.name AS account_name,
       p.party, p.amount, p.functional
FROM accounting_entry e
JOIN accounting_posting p ON p.entry = e.id
JOIN accounting_account a ON a.entity_id = e.entity AND a.code = p.account
WHERE e.entity = :entity AND e.day BETWEEN :since AND :until
ORDER BY e.day, e.id, p.position

-- name: validated
-- The postings of an entity in a time, in the order in which their entries were made, without those that close a year.
SELECT e.id, e.year, e.number, e.day, e.journal, e.label, e.source, e.currency, p.position, p.account, a.name AS account_name,
       p.party, p.amount, p.functional, b.at AS validated_at
FROM accounting_entry e
JOIN accounting_batch b ON b.id = e.batch
JOIN accounting_posting p ON p.entry = e.id
JOIN accounting_account a ON a.entity_id = e.entity AND a.code = p.account
WHERE e.entity = :entity AND e.day BETWEEN :since AND :until AND e.journal <> 'closing'
ORDER BY e.id, p.position

-- name: result
-- What income and expense accounts hold at the end of a year.
SELECT p.account, CAST(sum(p.functional) AS bigint) AS functional
FROM accounting_posting p
JOIN accounting_entry e ON e.id = p.entry
JOIN accounting_account a ON a.entity_id = e.entity AND a.code = p.account
WHERE e.entity = :entity AND e.day <= :until AND a.kind IN ('income', 'expense')
GROUP BY p.account
HAVING sum(p.functional) <> 0
ORDER BY p.account

-- name: batches
-- The chain of an entity.
SELECT id, first, last, previous, digest, what FROM accounting_batch WHERE entity = :entity ORDER BY id

-- name: unsealed
-- Entries of an entity that are in no sealed batch.
SELECT count(*) AS entries FROM accounting_entry e
WHERE e.entity = :entity
  AND NOT EXISTS (SELECT 1 FROM accounting_batch b WHERE b.id = e.batch AND b.digest <> '' AND e.id BETWEEN b.first AND b.last)

-- name: sealed_by
-- The batch that holds what was made from something, and its digest.
SELECT b.id AS batch, b.digest FROM accounting_entry e JOIN accounting_batch b ON b.id = e.batch
WHERE e.source = :source ORDER BY e.id LIMIT 1
