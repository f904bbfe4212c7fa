-- name: results
-- Results of promises.
SELECT instance_id, promise, revision, kept, message, at FROM monitoring_assessment
