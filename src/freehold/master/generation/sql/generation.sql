-- name: doubts
-- What this Master said and does not know, while no later generation was begun.
SELECT d.node, d.reason, d.at
FROM generation_doubt d
JOIN generation_generation g ON g.value <= d.generation
ORDER BY d.id

-- name: begin
-- A generation that is later than any that was doubted, and, by the clock, than any that was forgotten.
UPDATE generation_generation
SET began_at = :now, settles_at = :settles_at, value = (SELECT max(later.value)
             FROM (SELECT :now AS value
                   UNION ALL SELECT d.generation + 1 FROM generation_doubt d
                   UNION ALL SELECT g.value + 1 FROM generation_generation g) later)
RETURNING value

-- name: due
-- Whether it is time to look at the leases of a former generation.
SELECT 1 AS due FROM generation_generation WHERE settles_at IS NOT NULL AND (settles_at <= :now OR began_at > :now)

-- name: unlearn
-- No generation began in the future: the clock ran ahead when it did.
UPDATE generation_generation SET settles_at = :now + settles_at - began_at, began_at = :now WHERE began_at > :now

-- name: settle
-- What can move runs nowhere any more but where this Master knows; no row, when that is not so yet, or was before.
UPDATE generation_generation SET settles_at = NULL WHERE settles_at <= :now RETURNING value

-- name: comparison
-- How the clock of this Master compares with those of its nodes.
SELECT nodes, is_agreed, ahead, at FROM generation_clockcomparison WHERE id = 1
