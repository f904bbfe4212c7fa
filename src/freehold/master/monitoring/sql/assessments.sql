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

-- name: asked
-- What was asked of an instance, as far as its state goes.
SELECT at, asked FROM ordering_requestrow WHERE instance_id = :instance AND at < :end ORDER BY id
