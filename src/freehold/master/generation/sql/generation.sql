-- name: doubts
-- What this Master said and does not know, while no later generation was begun.
SELECT d.node, d.reason, d.at
FROM generation_doubt d
JOIN generation_generation g ON g.value <= d.generation
ORDER BY d.id

-- name: begin
-- A generation that is later than any that a node knows of.
UPDATE generation_generation
SET value = 1 + CASE WHEN (SELECT max(d.generation) FROM generation_doubt d) > value
                     THEN (SELECT max(d.generation) FROM generation_doubt d) ELSE value END
RETURNING value
