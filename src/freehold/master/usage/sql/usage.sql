-- name: so_far
-- What an instance used since it was placed: the last counters of each series, added up.
SELECT {{each meter ", ": CAST(sum($name) AS bigint) AS $name}}
FROM usage_lastreading WHERE instance_id = :instance

-- name: stretch
-- The last of so many instances, after one.
SELECT max(id) AS last FROM (SELECT id FROM ordering_instance WHERE id > :after ORDER BY id LIMIT :most) part

-- name: forget
-- Forget the hours of a stretch of instances from before an hour.
DELETE FROM usage_hour WHERE hour < :before
  AND instance_id IN (SELECT id FROM ordering_instance WHERE id > :after AND id <= :last)
