-- name: add_doubt
-- It said more than it knows.
INSERT INTO generation_doubt (node, generation, revision, epoch, reason, at)
VALUES (:node, :generation, :revision, :epoch, :reason, :at)
ON CONFLICT (node, generation) DO NOTHING

-- name: add_forgery
-- A node showed what was never said to it.
INSERT INTO generation_forgery (node, day, reason, at) VALUES (:node, :day, :reason, :at)
ON CONFLICT (node, day) DO NOTHING

-- name: set_comparison
-- How the clock of this Master compares with those of its nodes.
INSERT INTO generation_clockcomparison (id, nodes, is_agreed, ahead, at) VALUES (1, :nodes, :is_agreed, :ahead, :at)
ON CONFLICT (id) DO UPDATE SET nodes = excluded.nodes,
  is_agreed = excluded.is_agreed,
  ahead = excluded.ahead,
  at = excluded.at

-- name: forget_agreement
-- This Master starts: what nodes said of its clock in its favour is of before; what they said against it stands.
UPDATE generation_clockcomparison SET is_agreed = :is_agreed WHERE id = 1
