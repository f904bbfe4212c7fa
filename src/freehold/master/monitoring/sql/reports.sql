-- name: add_assessment
-- The result of a promise.
INSERT INTO monitoring_assessment (instance_id, revision, promise, kept, message, at)
VALUES (:instance, :revision, :promise, :kept, :message, :at)

-- name: add_assessment_arrays
-- The same for many, on PostgreSQL.
INSERT INTO monitoring_assessment (instance_id, revision, promise, kept, message, at)
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:revision AS bigint[]), CAST(:promise AS varchar[]),
  CAST(:kept AS boolean[]), CAST(:message AS varchar[]), CAST(:at AS bigint[]))
