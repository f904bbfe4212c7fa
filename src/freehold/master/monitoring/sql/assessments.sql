-- name: results
-- Results of promises.
SELECT instance_id, promise, revision, kept, message, at FROM monitoring_assessment

-- name: told
-- The results of an instance's promises in a time, and those that stood when it began.
SELECT promise, at, kept FROM monitoring_assessment
WHERE instance_id = :instance AND at >= :since AND at < :end
ORDER BY promise, at, id

-- name: maintenances
-- The announced maintenances of the site of an instance in a time.
SELECT m.begins_at, m.ends_at FROM monitoring_maintenance m
JOIN fleet_node n ON n.site_id = m.site_id
JOIN ordering_instance i ON i.node_id = n.id
WHERE i.id = :instance AND m.begins_at < :end AND m.ends_at > :begin

-- name: silent_since
-- When the node of an instance was last heard, if it is silent, was not stopped by its operator, and is not lost: it may
-- have more to tell.
SELECT n.silent_since AS since
FROM fleet_node n
JOIN ordering_instance i ON i.node_id = n.id
WHERE i.id = :instance AND n.silent_since IS NOT NULL AND n.stopped = '' AND n.lost_at IS NULL

-- name: asked
-- What was asked of an instance, as far as its state goes.
SELECT at, requested_state FROM ordering_requestrow WHERE instance_id = :instance AND at < :end ORDER BY id

-- name: stretch
-- Where the next so many results end, in the order in which they came, and when the earliest of them was.
SELECT max(id) AS last, min(at) AS earliest
FROM (SELECT id, at FROM monitoring_assessment WHERE id > :after ORDER BY id LIMIT :most) part

-- name: forget
-- Forget old results of a stretch, but never the last of a promise.
DELETE FROM monitoring_assessment WHERE id > :after AND id <= :last AND at < :before AND EXISTS (
  SELECT 1 FROM monitoring_assessment later
  WHERE later.instance_id = monitoring_assessment.instance_id
    AND later.promise = monitoring_assessment.promise
    AND later.id > monitoring_assessment.id)
