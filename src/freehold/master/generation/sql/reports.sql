-- name: add_doubt
-- It said more than it knows.
INSERT INTO generation_doubt (node, generation, revision, epoch, reason, at)
VALUES (:node, :generation, :revision, :epoch, :reason, :at)
ON CONFLICT (node, generation) DO NOTHING

-- name: add_forgery
-- A node showed what was never said to it.
INSERT INTO generation_forgery (node, day, reason, at) VALUES (:node, :day, :reason, :at)
ON CONFLICT (node, day) DO NOTHING
