-- name: take
-- Give the next numbers of a counter; the row stays ours until the transaction ends.
UPDATE foundation_counter SET last = last + :count WHERE name = :name RETURNING last

-- name: sealed
-- All that a counter named so far is finished.
UPDATE foundation_counter SET sealed = last WHERE name = :name
